/// Rigid bodies in the plane, their contacts and joints.
///
/// The formulation is that of Box2D 2.3: sequential impulses with warm starting, positions corrected after
/// velocities, continuous collision against fixed bodies, sleeping islands; in single precision and in the same order
/// of operations, so that the same scene gives the same motion. Bodies, fixtures and joints are named by the index in
/// which they were added. Once the memory has grown to a scene's needs, a step allocates nothing.
public struct World: ~Copyable {
    /// m/s².
    public var gravity: Vec2
    /// Whether bodies at rest fall asleep.
    public var allowsSleep = true
    /// Whether moving bodies are kept from passing through fixed ones.
    public var isContinuous = true

    // What a saved state has.
    var bodies = Pool<Body>(capacity: 256)
    var fixtures = Pool<Fixture>(capacity: 256)
    var vertices = Pool<Vec2>(capacity: 1024)
    var normals = Pool<Vec2>(capacity: 1024)
    var joints = Pool<RevoluteJoint>()
    var contacts = Pool<Contact>(capacity: 64)
    var firstContact: Int32 = -1
    var firstFreeContact: Int32 = -1
    var tree = DynamicTree()
    /// Leaves that have moved since pairs were last looked for.
    var moved = Pool<Int32>(capacity: 256)
    /// 1 over the duration of the last step; 0 before the first.
    var lastInverseDt: Float = 0
    /// Bodies that can move, newest first, as the islands are searched.
    var movable = Pool<Int32>()

    // Scratch.
    var pairs = Pool<UInt64>(capacity: 256)
    var events = Pool<ContactEvent>(capacity: 64)
    var island = Island()
    var lockstep = LockstepMemory()

    /// An empty world.
    public init(gravity: Vec2) {
        self.gravity = gravity
    }

    /// Takes everything out, keeping the memory.
    public mutating func removeAll() {
        bodies.truncate(to: 0)
        fixtures.truncate(to: 0)
        vertices.truncate(to: 0)
        normals.truncate(to: 0)
        joints.truncate(to: 0)
        contacts.truncate(to: 0)
        firstContact = -1
        firstFreeContact = -1
        tree.removeAll()
        moved.truncate(to: 0)
        lastInverseDt = 0
        movable.truncate(to: 0)
        events.truncate(to: 0)
    }

    /// Advances the world by `dt` seconds.
    ///
    /// - Parameters:
    ///   - velocityIterations: Rounds of impulses. More rounds are stiffer; rounds that would change nothing are left out.
    ///   - positionIterations: At most so many rounds of position correction; it ends when errors are within tolerance.
    public mutating func step(_ dt: Float, velocityIterations: Int, positionIterations: Int) {
        let step = TimeStep(
            dt: dt, dtRatio: lastInverseDt * dt, velocityIterations: velocityIterations,
            positionIterations: positionIterations)
        beginStep()
        while nextIsland() {
            beginIsland(step)
            solveVelocities(velocityIterations)
            endIsland(step)
        }
        endStep(step)
    }

    /// Contacts: which there are, and where they touch.
    mutating func beginStep() {
        events.truncate(to: 0)
        findNewContacts()
        updateContacts()
        startIslands()
    }

    /// What follows when all islands are solved.
    mutating func endStep(_ step: TimeStep) {
        synchronizeMovedFixtures()
        findNewContacts()
        if isContinuous { solveImpacts(step) }
        lastInverseDt = 1 / step.dt
        clearForces()
    }

    private mutating func clearForces() {
        let bodies = bodies.base
        for i in 0..<movable.count {
            bodies[Int(movable.base[i])].force = .zero
            bodies[Int(movable.base[i])].torque = 0
        }
    }
}

/// What the solvers need to know of a step.
struct TimeStep {
    var dt: Float
    /// This step's duration over the last one's: impulses are scaled with it. 0 in the first step.
    var dtRatio: Float
    var velocityIterations: Int
    var positionIterations: Int
}
