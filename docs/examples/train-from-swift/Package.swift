// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "my-agents",
    dependencies: [.package(name: "swift-gym", path: "../../..")],
    targets: [
        .executableTarget(
            name: "train",
            dependencies: [
                .product(name: "Agents", package: "swift-gym"), .product(name: "GymClient", package: "swift-gym"),
            ]),
        .executableTarget(
            name: "go-on",
            dependencies: [
                .product(name: "Agents", package: "swift-gym"), .product(name: "GymClient", package: "swift-gym"),
            ]),
    ])
