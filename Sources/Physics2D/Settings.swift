/// Tuning constants of the simulation, in metres, kilograms, seconds and radians.
///
/// The values are those of Box2D 2.3; changing one changes every trajectory.
enum Settings {
    /// π as the reference rounds it.
    static let pi: Float = 3.14159265359

    /// 0.1 m. Boxes in the tree are this much larger than their shapes, so that small motions leave the tree alone.
    static let boxExtension: Float = 0.1
    /// Boxes in the tree are stretched by this many times the last displacement, for motion to come.
    static let boxMultiplier: Float = 2

    /// 5 mm. Collision and joint tolerance: bodies may overlap this much. Larger is softer: bodies sink visibly.
    static let linearSlop: Float = 0.005
    /// 2°. Joint limits may be exceeded by this much.
    static let angularSlop: Float = 2 / 180 * pi
    /// 1 cm. The skin around polygons and edges; contacts exist before the cores touch.
    static let polygonRadius: Float = 2 * linearSlop
    /// The number of vertices a polygon may have.
    static let maxPolygonVertices = 16

    /// Sub-steps of continuous collision that one contact may cause in a step.
    static let maxSubSteps = 8
    /// Contacts that one sub-step of continuous collision handles.
    static let maxImpactContacts = 32
    /// Position iterations of a sub-step of continuous collision.
    static let impactPositionIterations = 20

    /// 1 m/s. Slower collisions do not bounce.
    static let velocityThreshold: Float = 1
    /// 0.2 m. The most that one position iteration moves a contact; prevents overshoot.
    static let maxLinearCorrection: Float = 0.2
    /// 8°. The most that one position iteration turns a joint back to its limit.
    static let maxAngularCorrection: Float = 8 / 180 * pi
    /// 2 m. The most that a body moves in a step.
    static let maxTranslation: Float = 2
    /// 90°. The most that a body turns in a step.
    static let maxRotation: Float = 0.5 * pi

    /// The part of an overlap that one position iteration resolves.
    static let baumgarte: Float = 0.2
    /// The same in a sub-step of continuous collision.
    static let impactBaumgarte: Float = 0.75
    /// Two contact points whose mass matrix is conditioned worse than this are solved as one.
    static let maxConditionNumber: Float = 1000

    /// 0.5 s. Bodies at rest for this long fall asleep.
    static let timeToSleep: Float = 0.5
    /// 1 cm/s. A faster body does not fall asleep.
    static let linearSleepTolerance: Float = 0.01
    /// 2°/s. A body that turns faster does not fall asleep.
    static let angularSleepTolerance: Float = 2 / 180 * pi

    /// The distance between 1 and the next float; lengths below it count as zero.
    static let epsilon: Float = 1.192_092_896e-07
}
