import Agents
import ArgumentParser
import GymClient
import GymCore
import RunFiles

/// A run that exists, as the command line names it.
struct ExistingRun {
    let folder: RunFolder
    let configuration: RunConfiguration

    /// - Throws: `ValidationError` when there is none; that is wrong use, and not a failure.
    init(_ path: String) throws {
        folder = RunFolder(existing: path)
        do {
            configuration = try folder.configuration()
        } catch let error as RunFolderError {
            throw ValidationError(error.description)
        }
    }
}

/// A run with the weights that it ended with.
struct TrainedRun {
    let configuration: RunConfiguration
    private let folder: RunFolder
    private let tensors: [NamedTensor]

    /// Reads the run before any server is asked for: a run without weights needs none.
    ///
    /// - Throws: `ValidationError` when there is no such run, ``RunFolderError`` when it has not ended.
    init(_ path: String) throws {
        let run = try ExistingRun(path)
        configuration = run.configuration
        folder = run.folder
        tensors = try run.folder.policyTensors()
    }

    /// The policy, for the environments of a server, and what these observe.
    func policy(
        _ options: ServerOptions, on connection: ServerConnection
    ) throws -> (policy: any Policy, observationSpace: Space) {
        // The server knows the spaces.
        let probe = try options.make(configuration.environment, count: 1, on: connection)
        let policy = try policy(for: probe)
        try probe.close()
        return (policy, probe.observationSpace)
    }

    /// The policy, for environments with the spaces of these.
    func policy(for batch: RemoteVectorEnvironment) throws -> any Policy {
        let policy = try configuration.algorithm.policy(
            configuration.hyperparameters, observationSpace: batch.observationSpace, actionSpace: batch.actionSpace)
        do {
            try policy.load(tensors)
        } catch let error as PolicyError {
            throw PolicyError("\(folder.url.path)/policy.safetensors does not fit its config.yaml: \(error)")
        }
        return policy
    }
}
