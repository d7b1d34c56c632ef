import Agents
import GymClient
import GymCore
import Testing

/// Short runs against a `gym-server`, each to a stated return.
@Suite(.serialized) struct OffPolicyLearningTests {
    private func greedyReturn(
        _ algorithm: Algorithm, _ environment: String, _ settings: [(String, String)], seed: UInt64 = 1
    ) throws -> Double {
        let server = try ServerProcess()
        defer { server.end() }
        let connection = try Connection(path: server.path, name: "test")
        let h = try algorithm.hyperparameters(environment: environment, settings: settings)
        let learner = try algorithm.learner(
            on: try connection.make(environment, count: h.integer("n_envs"), autoreset: .sameStep), hyperparameters: h,
            seed: seed)
        while learner.steps < learner.totalSteps { _ = try learner.iterate() }
        let batch = try connection.make(environment, count: 20, autoreset: .sameStep)
        return try evaluate(learner.policy, on: batch, seed: 1000).meanReturn
    }

    /// Random play brings 20.
    @Test func dqnLearnsCartPole() throws {
        let total = try greedyReturn(.dqn, "CartPole-v1", [], seed: 0)
        #expect(total >= 475)
    }

    /// Random play brings -1200.
    @Test func td3LearnsPendulum() throws {
        let total = try greedyReturn(
            .td3, "Pendulum-v1",
            [
                ("n_timesteps", "8000"), ("learning_starts", "1000"), ("net_arch", "[64, 64]"), ("batch_size", "100"),
            ])
        #expect(total >= -250)
    }

    @Test func ddpgLearnsPendulum() throws {
        let total = try greedyReturn(
            .ddpg, "Pendulum-v1",
            [
                ("n_timesteps", "8000"), ("learning_starts", "1000"), ("net_arch", "[64, 64]"), ("batch_size", "100"),
            ])
        #expect(total >= -250)
    }

    @Test(arguments: [false, true]) func sacLearnsPendulum(valueNetwork: Bool) throws {
        let total = try greedyReturn(
            .sac, "Pendulum-v1",
            [
                ("n_timesteps", "8000"), ("learning_starts", "1000"), ("net_arch", "[64, 64]"), ("batch_size", "100"),
                ("value_network", "\(valueNetwork)"),
            ])
        #expect(total >= -250)
    }
}
