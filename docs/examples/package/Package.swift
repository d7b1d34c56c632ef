// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "my-environments",
    dependencies: [.package(path: "../swift-gym")],
    targets: [
        .executableTarget(
            name: "my-server",
            dependencies: [
                .product(name: "GymCore", package: "swift-gym"),
                .product(name: "GymServer", package: "swift-gym"),
            ]),
        .executableTarget(
            name: "my-client", dependencies: [.product(name: "GymClient", package: "swift-gym")]),
    ])
