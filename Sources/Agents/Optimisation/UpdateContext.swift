/// What an update works with besides its networks: how the work is divided, and who does it.
package struct UpdateContext: Sendable {
    package let parts: Parts
    package let workers: Workers
    package let communicator: any Communicator

    package init(
        _ parts: Parts, workers: Workers = Workers(threads: 1), communicator: any Communicator = SingleProcess()
    ) {
        self.parts = parts
        self.workers = workers
        self.communicator = communicator
    }
}
