// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

func library(_ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource]? = nil) -> Target {
    .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: strict)
}

func executable(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

func example(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: "example-\(name)", dependencies: dependencies, path: "docs/examples/\(name)", swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies + ["TestSupport"], swiftSettings: strict)
}

let package = Package(
    name: "swift-gym",
    products: [
        .library(name: "GymCore", targets: ["GymCore"]),
        .library(name: "GymProtocol", targets: ["GymProtocol"]),
        .library(name: "GymClient", targets: ["GymClient"]),
        .library(name: "GymServer", targets: ["GymServer"]),
        .library(name: "GymEnvironments", targets: ["GymEnvironments"]),
        .library(name: "Physics2D", targets: ["Physics2D"]),
        .executable(name: "gym-server", targets: ["gym-server"]),
        .executable(name: "gym-bench", targets: ["gym-bench"]),
        .library(name: "NeuralNetwork", targets: ["NeuralNetwork"]),
        .library(name: "Agents", targets: ["Agents"]),
        .library(name: "RunFiles", targets: ["RunFiles"]),
        .executable(name: "gym-agent", targets: ["gym-agent"]),
        .executable(name: "gym-conformance", targets: ["gym-conformance"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // The vocabulary that both sides share; depends on nothing.
        library("GymCore"),

        // The protocol, the only thing through which the two sides meet.
        .systemLibrary(
            name: "CProtobufC", pkgConfig: "libprotobuf-c",
            providers: [.apt(["libprotobuf-c-dev", "protobuf-c-compiler"]), .brew(["protobuf-c"])]),
        .target(name: "CGymProtocol", dependencies: ["CProtobufC"]),
        .target(name: "CSystemCalls"),
        library("GymProtocol", ["GymCore", "CGymProtocol", "CProtobufC", "CSystemCalls"]),
        library("GymClient", ["GymCore", "GymProtocol"]),

        // The environments' side.
        library("GymServer", ["CSystemCalls", "GymCore", "GymProtocol", logging]),
        library("Physics2D"),
        library("Raster"),
        library("Film", ["Raster"]),
        library("Charts", ["Raster"]),
        library("GymEnvironments", ["GymCore", "Physics2D", "Raster"]),
        library("ConformanceEnvironments", ["GymCore"]),

        // The agents' side. Networks and optimisers; the only importers of OpenBLAS and of the vector kernels.
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .target(name: "CVectorKernels"),
        library("NeuralNetwork", ["GymCore", "COpenBLAS", "CVectorKernels"]),
        // What runs leave on the disk, as formats: it knows no run.
        .target(name: "CSHA256"),
        library("RunFiles", ["CSHA256", "GymCore"]),
        library(
            "Agents", ["GymCore", "GymClient", "GymProtocol", "NeuralNetwork", "RunFiles", yams],
            resources: [.embedInCode("Runs/Presets")]),

        // The conformance suite: given a socket, and nothing of the server's.
        library("Conformance", ["CSystemCalls"], resources: [.embedInCode("Wire/gym.proto")]),

        // Conversations as they were recorded or fuzzed, played to either side; no part of the product.
        library("Conversations", ["CSystemCalls"]),

        // The commands: arguments in, exit code out.
        library("CommandLineSupport", [argumentParser]),
        executable(
            "gym-server",
            [
                "CommandLineSupport", "ConformanceEnvironments", "Film", "GymCore", "GymProtocol", "GymServer",
                "GymEnvironments", "Raster", argumentParser, logging,
            ]),
        executable(
            "gym-agent",
            [
                "CommandLineSupport", "Charts", "Film", "GymCore", "GymProtocol", "GymClient", "Agents", "Raster",
                "RunFiles", argumentParser,
            ]),
        executable("gym-conformance", ["CommandLineSupport", "Conformance", argumentParser]),
        executable(
            "gym-bench",
            [
                "CommandLineSupport", "Conversations", "GymCore", "GymProtocol", "GymClient", "Agents",
                "NeuralNetwork", "GymEnvironments", argumentParser,
            ]),

        // What benchmarks run beside their peers; no part of the product.
        .executableTarget(
            name: "pong-bench", dependencies: ["GymCore", "GymEnvironments"], path: "Benchmarks/Pong",
            swiftSettings: strict),

        // The programs of the tutorials: docs/examples has what the pages show.
        example("client", ["GymClient"]),
        example("environment", ["GymCore", "GymServer"]),

        // Test support: golden trajectories, the built executables.
        .target(name: "TestSupport", dependencies: ["GymCore"], path: "Tests/TestSupport", swiftSettings: strict),
        tests("GymCoreTests", ["GymCore"]),
        tests("Physics2DTests", ["Physics2D"]),
        tests("RasterTests", ["Raster"]),
        tests("FilmTests", ["Film", "Raster"]),
        tests("ChartsTests", ["Charts", "Raster"]),
        .target(
            name: "ServerTestSupport",
            dependencies: ["GymClient", "GymCore", "GymProtocol", "GymServer", "TestSupport", logging],
            path: "Tests/ServerTestSupport", swiftSettings: strict),
        .target(
            name: "FuzzSupport",
            dependencies: [
                "Conformance", "ConformanceEnvironments", "Conversations", "GymClient", "GymCore", "GymEnvironments",
                "GymProtocol", "GymServer", "TestSupport", logging,
            ],
            path: "Tests/FuzzSupport", swiftSettings: strict),
        tests("GymProtocolTests", ["CGymProtocol", "CProtobufC", "GymCore", "GymProtocol"]),
        .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
        tests(
            "GymServerTests",
            [
                "AllocationCounter", "ConformanceEnvironments", "FuzzSupport", "GymClient", "GymCore",
                "GymEnvironments",
                "GymProtocol", "GymServer", "ServerTestSupport", logging,
            ]),
        tests(
            "ConformanceTests",
            [
                "CSystemCalls", "Conformance", "ConformanceEnvironments", "GymCore", "GymEnvironments", "GymServer",
                "ServerTestSupport",
            ]),
        tests("GymClientTests", ["FuzzSupport", "GymClient", "GymCore", "GymProtocol", "ServerTestSupport"]),
        tests("GymEnvironmentsTests", ["AllocationCounter", "GymCore", "GymEnvironments"]),
        tests("NeuralNetworkTests", ["NeuralNetwork", "GymCore", "CVectorKernels"]),
        tests("RunFilesTests", ["GymCore", "RunFiles"]),
        tests(
            "AgentsTests",
            [
                "Agents", "AllocationCounter", "GymClient", "GymCore", "GymEnvironments", "NeuralNetwork", "RunFiles",
            ]),
        .executableTarget(
            name: "fault-client", dependencies: ["GymClient", "GymCore", "GymProtocol"], path: "Tests/FaultClient",
            swiftSettings: strict),
        .executableTarget(
            name: "hostile-server", dependencies: ["Conversations", "FuzzSupport"], path: "Tests/HostileServer",
            swiftSettings: strict),
        tests("EndToEndTests", ["Conformance", "Conversations", "GymClient", "GymCore", "GymProtocol"]),
    ],
    swiftLanguageModes: [.v6]
)

// The fuzzer has a main function of its own, that of libFuzzer: scripts/fuzz asks for it.
if Context.environment["SWIFT_GYM_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "gym-fuzz", dependencies: ["Conversations", "FuzzSupport"], path: "Fuzz",
            exclude: ["clients", "corpus", "regressions"],
            swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])]))
}

// scripts/sanitize builds what speaks the protocol and what learns: where threads and unsafe pointers are.
if Context.environment["SWIFT_GYM_SANITIZE"] != nil {
    let kept = [
        "GymCoreTests", "GymProtocolTests", "GymServerTests", "GymClientTests", "NeuralNetworkTests", "AgentsTests",
    ]
    package.targets.removeAll { $0.type == .test && !kept.contains($0.name) }
}
