import GymCore
