import GymClient

// Eight environments, stepped together: an action for each goes out, what comes of it comes back.
let connection = try Connection(path: CommandLine.arguments[1])
let environments = try connection.make("CartPole-v1", count: 8)
try environments.reset(seeds: [42])

// Memory of the batch's own: actions are written there, results are read there, and nothing is copied.
let actions = environments.actions.elements(as: Int64.self)
var episodes = 0
var total = 0.0

for _ in 0..<500 {
    let observations = environments.results.observation.elements(as: Float.self)  // 8 rows of 4
    for row in 0..<8 {
        // Push the cart to the side to which the pole falls: its angle and its speed.
        actions[row] = observations[4 * row + 2] + observations[4 * row + 3] > 0 ? 1 : 0
    }
    try environments.step()
    let results = environments.results  // asked for after each step: two sets of them take turns
    for row in 0..<8 where results.terminated[row] != 0 || results.truncated[row] != 0 {
        // The next step starts this row's next episode.
        episodes += 1
        total += results.episodeReturns[row]
    }
}
print("\(episodes) episodes, mean return \(total / Double(episodes))")
