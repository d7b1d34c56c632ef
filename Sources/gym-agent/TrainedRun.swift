import Agents
import ArgumentParser
import GymClient
import RunFiles

/// A run with the weights that it ended with.
struct TrainedRun {
    let configuration: RunConfiguration
    let tensors: [NamedTensor]
    private let folder: RunFolder

    /// Reads the run before any server is asked for: a run without weights needs none.
    ///
    /// - Throws: `ValidationError` when there is no such run, which is wrong use and not a failure; ``RunFolderError``
    ///   when it has not ended.
    init(_ path: String) throws {
        folder = RunFolder(existing: path)
        do {
            configuration = try folder.configuration()
        } catch let error as RunFolderError {
            throw ValidationError(error.description)
        }
        tensors = try folder.policyTensors()
    }

    /// One of the run's environments: the server knows the spaces.
    func makeEnvironment(_ server: ServerConnection) throws -> RemoteVectorEnvironment {
        try server.environments.make(
            configuration.environment, count: 1, options: configuration.hyperparameters.environmentOptions,
            autoreset: .sameStep)
    }

    /// The policy, for environments with the spaces of these.
    func policy(for batch: RemoteVectorEnvironment) throws -> any Policy {
        let policy = try configuration.policy(
            observationSpace: batch.observationSpace, actionSpace: batch.actionSpace)
        do {
            try policy.load(tensors)
        } catch let error as PolicyError {
            throw PolicyError("\(folder.url.path)/policy.safetensors does not fit its config.yaml: \(error)")
        }
        return policy
    }
}
