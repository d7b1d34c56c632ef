from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DTYPE_UNSPECIFIED: _ClassVar[DType]
    BOOL: _ClassVar[DType]
    INT8: _ClassVar[DType]
    INT16: _ClassVar[DType]
    INT32: _ClassVar[DType]
    INT64: _ClassVar[DType]
    UINT8: _ClassVar[DType]
    UINT16: _ClassVar[DType]
    UINT32: _ClassVar[DType]
    UINT64: _ClassVar[DType]
    FLOAT16: _ClassVar[DType]
    FLOAT32: _ClassVar[DType]
    FLOAT64: _ClassVar[DType]

class AutoresetMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUTORESET_UNSPECIFIED: _ClassVar[AutoresetMode]
    NEXT_STEP: _ClassVar[AutoresetMode]
    SAME_STEP: _ClassVar[AutoresetMode]
    DISABLED: _ClassVar[AutoresetMode]

class Transport(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRANSPORT_UNSPECIFIED: _ClassVar[Transport]
    SOCKET: _ClassVar[Transport]
    SHARED_MEMORY: _ClassVar[Transport]

class SpaceKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTION: _ClassVar[SpaceKind]
    OBSERVATION: _ClassVar[SpaceKind]

class ErrorCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_UNSPECIFIED: _ClassVar[ErrorCode]
    MALFORMED_FRAME: _ClassVar[ErrorCode]
    FRAME_TOO_LARGE: _ClassVar[ErrorCode]
    UNSUPPORTED_VERSION: _ClassVar[ErrorCode]
    HELLO_EXPECTED: _ClassVar[ErrorCode]
    UNAUTHORIZED: _ClassVar[ErrorCode]
    TOO_MANY_CONNECTIONS: _ClassVar[ErrorCode]
    MALFORMED_MESSAGE: _ClassVar[ErrorCode]
    UNKNOWN_MESSAGE: _ClassVar[ErrorCode]
    UNSUPPORTED_CAPABILITY: _ClassVar[ErrorCode]
    UNKNOWN_ENVIRONMENT: _ClassVar[ErrorCode]
    UNKNOWN_HANDLE: _ClassVar[ErrorCode]
    INVALID_ARGUMENT: _ClassVar[ErrorCode]
    INVALID_OPTION: _ClassVar[ErrorCode]
    INVALID_ACTION: _ClassVar[ErrorCode]
    INVALID_MASK: _ClassVar[ErrorCode]
    INVALID_STATE: _ClassVar[ErrorCode]
    NEEDS_RESET: _ClassVar[ErrorCode]
    RENDER_UNAVAILABLE: _ClassVar[ErrorCode]
    LIMIT_EXCEEDED: _ClassVar[ErrorCode]
    NOTHING_PENDING: _ClassVar[ErrorCode]
    ALREADY_PENDING: _ClassVar[ErrorCode]
    RESPONSE_TOO_LARGE: _ClassVar[ErrorCode]
    NOT_ALLOWED: _ClassVar[ErrorCode]
    ENVIRONMENT_FAULT: _ClassVar[ErrorCode]
    SHUTTING_DOWN: _ClassVar[ErrorCode]
    INTERNAL: _ClassVar[ErrorCode]
    INCOMPATIBLE_STATE: _ClassVar[ErrorCode]
DTYPE_UNSPECIFIED: DType
BOOL: DType
INT8: DType
INT16: DType
INT32: DType
INT64: DType
UINT8: DType
UINT16: DType
UINT32: DType
UINT64: DType
FLOAT16: DType
FLOAT32: DType
FLOAT64: DType
AUTORESET_UNSPECIFIED: AutoresetMode
NEXT_STEP: AutoresetMode
SAME_STEP: AutoresetMode
DISABLED: AutoresetMode
TRANSPORT_UNSPECIFIED: Transport
SOCKET: Transport
SHARED_MEMORY: Transport
ACTION: SpaceKind
OBSERVATION: SpaceKind
ERROR_UNSPECIFIED: ErrorCode
MALFORMED_FRAME: ErrorCode
FRAME_TOO_LARGE: ErrorCode
UNSUPPORTED_VERSION: ErrorCode
HELLO_EXPECTED: ErrorCode
UNAUTHORIZED: ErrorCode
TOO_MANY_CONNECTIONS: ErrorCode
MALFORMED_MESSAGE: ErrorCode
UNKNOWN_MESSAGE: ErrorCode
UNSUPPORTED_CAPABILITY: ErrorCode
UNKNOWN_ENVIRONMENT: ErrorCode
UNKNOWN_HANDLE: ErrorCode
INVALID_ARGUMENT: ErrorCode
INVALID_OPTION: ErrorCode
INVALID_ACTION: ErrorCode
INVALID_MASK: ErrorCode
INVALID_STATE: ErrorCode
NEEDS_RESET: ErrorCode
RENDER_UNAVAILABLE: ErrorCode
LIMIT_EXCEEDED: ErrorCode
NOTHING_PENDING: ErrorCode
ALREADY_PENDING: ErrorCode
RESPONSE_TOO_LARGE: ErrorCode
NOT_ALLOWED: ErrorCode
ENVIRONMENT_FAULT: ErrorCode
SHUTTING_DOWN: ErrorCode
INTERNAL: ErrorCode
INCOMPATIBLE_STATE: ErrorCode

class Request(_message.Message):
    __slots__ = ("id", "handle", "step", "reset", "send", "receive", "render", "close", "hello", "ping", "status", "list", "make", "get_state", "set_state", "sample", "contains", "shutdown")
    ID_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    SEND_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_FIELD_NUMBER: _ClassVar[int]
    RENDER_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    MAKE_FIELD_NUMBER: _ClassVar[int]
    GET_STATE_FIELD_NUMBER: _ClassVar[int]
    SET_STATE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    CONTAINS_FIELD_NUMBER: _ClassVar[int]
    SHUTDOWN_FIELD_NUMBER: _ClassVar[int]
    id: int
    handle: int
    step: StepRequest
    reset: ResetRequest
    send: SendRequest
    receive: ReceiveRequest
    render: RenderRequest
    close: CloseRequest
    hello: HelloRequest
    ping: PingRequest
    status: StatusRequest
    list: ListRequest
    make: MakeRequest
    get_state: GetStateRequest
    set_state: SetStateRequest
    sample: SampleRequest
    contains: ContainsRequest
    shutdown: ShutdownRequest
    def __init__(self, id: _Optional[int] = ..., handle: _Optional[int] = ..., step: _Optional[_Union[StepRequest, _Mapping]] = ..., reset: _Optional[_Union[ResetRequest, _Mapping]] = ..., send: _Optional[_Union[SendRequest, _Mapping]] = ..., receive: _Optional[_Union[ReceiveRequest, _Mapping]] = ..., render: _Optional[_Union[RenderRequest, _Mapping]] = ..., close: _Optional[_Union[CloseRequest, _Mapping]] = ..., hello: _Optional[_Union[HelloRequest, _Mapping]] = ..., ping: _Optional[_Union[PingRequest, _Mapping]] = ..., status: _Optional[_Union[StatusRequest, _Mapping]] = ..., list: _Optional[_Union[ListRequest, _Mapping]] = ..., make: _Optional[_Union[MakeRequest, _Mapping]] = ..., get_state: _Optional[_Union[GetStateRequest, _Mapping]] = ..., set_state: _Optional[_Union[SetStateRequest, _Mapping]] = ..., sample: _Optional[_Union[SampleRequest, _Mapping]] = ..., contains: _Optional[_Union[ContainsRequest, _Mapping]] = ..., shutdown: _Optional[_Union[ShutdownRequest, _Mapping]] = ...) -> None: ...

class Response(_message.Message):
    __slots__ = ("id", "handle", "step", "reset", "send", "receive", "render", "close", "error", "hello", "ping", "status", "list", "make", "get_state", "set_state", "sample", "contains", "shutdown")
    ID_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    SEND_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_FIELD_NUMBER: _ClassVar[int]
    RENDER_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    MAKE_FIELD_NUMBER: _ClassVar[int]
    GET_STATE_FIELD_NUMBER: _ClassVar[int]
    SET_STATE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    CONTAINS_FIELD_NUMBER: _ClassVar[int]
    SHUTDOWN_FIELD_NUMBER: _ClassVar[int]
    id: int
    handle: int
    step: StepResponse
    reset: ResetResponse
    send: SendResponse
    receive: StepResponse
    render: RenderResponse
    close: CloseResponse
    error: Error
    hello: HelloResponse
    ping: PingResponse
    status: StatusResponse
    list: ListResponse
    make: MakeResponse
    get_state: GetStateResponse
    set_state: SetStateResponse
    sample: SampleResponse
    contains: ContainsResponse
    shutdown: ShutdownResponse
    def __init__(self, id: _Optional[int] = ..., handle: _Optional[int] = ..., step: _Optional[_Union[StepResponse, _Mapping]] = ..., reset: _Optional[_Union[ResetResponse, _Mapping]] = ..., send: _Optional[_Union[SendResponse, _Mapping]] = ..., receive: _Optional[_Union[StepResponse, _Mapping]] = ..., render: _Optional[_Union[RenderResponse, _Mapping]] = ..., close: _Optional[_Union[CloseResponse, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ..., hello: _Optional[_Union[HelloResponse, _Mapping]] = ..., ping: _Optional[_Union[PingResponse, _Mapping]] = ..., status: _Optional[_Union[StatusResponse, _Mapping]] = ..., list: _Optional[_Union[ListResponse, _Mapping]] = ..., make: _Optional[_Union[MakeResponse, _Mapping]] = ..., get_state: _Optional[_Union[GetStateResponse, _Mapping]] = ..., set_state: _Optional[_Union[SetStateResponse, _Mapping]] = ..., sample: _Optional[_Union[SampleResponse, _Mapping]] = ..., contains: _Optional[_Union[ContainsResponse, _Mapping]] = ..., shutdown: _Optional[_Union[ShutdownResponse, _Mapping]] = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("shutting_down", "reaped")
    SHUTTING_DOWN_FIELD_NUMBER: _ClassVar[int]
    REAPED_FIELD_NUMBER: _ClassVar[int]
    shutting_down: ShuttingDown
    reaped: Reaped
    def __init__(self, shutting_down: _Optional[_Union[ShuttingDown, _Mapping]] = ..., reaped: _Optional[_Union[Reaped, _Mapping]] = ...) -> None: ...

class ShuttingDown(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class Reaped(_message.Message):
    __slots__ = ("idle_seconds",)
    IDLE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    idle_seconds: int
    def __init__(self, idle_seconds: _Optional[int] = ...) -> None: ...

class Tensor(_message.Message):
    __slots__ = ("dtype", "shape", "data")
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    dtype: DType
    shape: _containers.RepeatedScalarFieldContainer[int]
    data: bytes
    def __init__(self, dtype: _Optional[_Union[DType, str]] = ..., shape: _Optional[_Iterable[int]] = ..., data: _Optional[bytes] = ...) -> None: ...

class Value(_message.Message):
    __slots__ = ("tensor", "text", "list", "graph", "one_of")
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    GRAPH_FIELD_NUMBER: _ClassVar[int]
    ONE_OF_FIELD_NUMBER: _ClassVar[int]
    tensor: Tensor
    text: str
    list: ValueList
    graph: GraphValue
    one_of: OneOfValue
    def __init__(self, tensor: _Optional[_Union[Tensor, _Mapping]] = ..., text: _Optional[str] = ..., list: _Optional[_Union[ValueList, _Mapping]] = ..., graph: _Optional[_Union[GraphValue, _Mapping]] = ..., one_of: _Optional[_Union[OneOfValue, _Mapping]] = ...) -> None: ...

class ValueList(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[Value]
    def __init__(self, values: _Optional[_Iterable[_Union[Value, _Mapping]]] = ...) -> None: ...

class GraphValue(_message.Message):
    __slots__ = ("nodes", "edges", "edge_links")
    NODES_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    EDGE_LINKS_FIELD_NUMBER: _ClassVar[int]
    nodes: Tensor
    edges: Tensor
    edge_links: Tensor
    def __init__(self, nodes: _Optional[_Union[Tensor, _Mapping]] = ..., edges: _Optional[_Union[Tensor, _Mapping]] = ..., edge_links: _Optional[_Union[Tensor, _Mapping]] = ...) -> None: ...

class OneOfValue(_message.Message):
    __slots__ = ("index", "value")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    index: int
    value: Value
    def __init__(self, index: _Optional[int] = ..., value: _Optional[_Union[Value, _Mapping]] = ...) -> None: ...

class Leaf(_message.Message):
    __slots__ = ("tensor", "values")
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    tensor: Tensor
    values: ValueList
    def __init__(self, tensor: _Optional[_Union[Tensor, _Mapping]] = ..., values: _Optional[_Union[ValueList, _Mapping]] = ...) -> None: ...

class Space(_message.Message):
    __slots__ = ("box", "discrete", "multi_discrete", "multi_binary", "text", "dict", "tuple", "sequence", "graph", "one_of")
    BOX_FIELD_NUMBER: _ClassVar[int]
    DISCRETE_FIELD_NUMBER: _ClassVar[int]
    MULTI_DISCRETE_FIELD_NUMBER: _ClassVar[int]
    MULTI_BINARY_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DICT_FIELD_NUMBER: _ClassVar[int]
    TUPLE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    GRAPH_FIELD_NUMBER: _ClassVar[int]
    ONE_OF_FIELD_NUMBER: _ClassVar[int]
    box: BoxSpace
    discrete: DiscreteSpace
    multi_discrete: MultiDiscreteSpace
    multi_binary: MultiBinarySpace
    text: TextSpace
    dict: DictSpace
    tuple: TupleSpace
    sequence: SequenceSpace
    graph: GraphSpace
    one_of: OneOfSpace
    def __init__(self, box: _Optional[_Union[BoxSpace, _Mapping]] = ..., discrete: _Optional[_Union[DiscreteSpace, _Mapping]] = ..., multi_discrete: _Optional[_Union[MultiDiscreteSpace, _Mapping]] = ..., multi_binary: _Optional[_Union[MultiBinarySpace, _Mapping]] = ..., text: _Optional[_Union[TextSpace, _Mapping]] = ..., dict: _Optional[_Union[DictSpace, _Mapping]] = ..., tuple: _Optional[_Union[TupleSpace, _Mapping]] = ..., sequence: _Optional[_Union[SequenceSpace, _Mapping]] = ..., graph: _Optional[_Union[GraphSpace, _Mapping]] = ..., one_of: _Optional[_Union[OneOfSpace, _Mapping]] = ...) -> None: ...

class BoxSpace(_message.Message):
    __slots__ = ("shape", "low", "high")
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    shape: _containers.RepeatedScalarFieldContainer[int]
    low: Tensor
    high: Tensor
    def __init__(self, shape: _Optional[_Iterable[int]] = ..., low: _Optional[_Union[Tensor, _Mapping]] = ..., high: _Optional[_Union[Tensor, _Mapping]] = ...) -> None: ...

class DiscreteSpace(_message.Message):
    __slots__ = ("n", "start")
    N_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    n: int
    start: int
    def __init__(self, n: _Optional[int] = ..., start: _Optional[int] = ...) -> None: ...

class MultiDiscreteSpace(_message.Message):
    __slots__ = ("shape", "nvec", "start")
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    NVEC_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    shape: _containers.RepeatedScalarFieldContainer[int]
    nvec: _containers.RepeatedScalarFieldContainer[int]
    start: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, shape: _Optional[_Iterable[int]] = ..., nvec: _Optional[_Iterable[int]] = ..., start: _Optional[_Iterable[int]] = ...) -> None: ...

class MultiBinarySpace(_message.Message):
    __slots__ = ("shape",)
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    shape: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, shape: _Optional[_Iterable[int]] = ...) -> None: ...

class TextSpace(_message.Message):
    __slots__ = ("min_length", "max_length", "charset")
    MIN_LENGTH_FIELD_NUMBER: _ClassVar[int]
    MAX_LENGTH_FIELD_NUMBER: _ClassVar[int]
    CHARSET_FIELD_NUMBER: _ClassVar[int]
    min_length: int
    max_length: int
    charset: str
    def __init__(self, min_length: _Optional[int] = ..., max_length: _Optional[int] = ..., charset: _Optional[str] = ...) -> None: ...

class DictSpace(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[DictEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[DictEntry, _Mapping]]] = ...) -> None: ...

class DictEntry(_message.Message):
    __slots__ = ("key", "space")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    key: str
    space: Space
    def __init__(self, key: _Optional[str] = ..., space: _Optional[_Union[Space, _Mapping]] = ...) -> None: ...

class TupleSpace(_message.Message):
    __slots__ = ("spaces",)
    SPACES_FIELD_NUMBER: _ClassVar[int]
    spaces: _containers.RepeatedCompositeFieldContainer[Space]
    def __init__(self, spaces: _Optional[_Iterable[_Union[Space, _Mapping]]] = ...) -> None: ...

class SequenceSpace(_message.Message):
    __slots__ = ("space", "stack")
    SPACE_FIELD_NUMBER: _ClassVar[int]
    STACK_FIELD_NUMBER: _ClassVar[int]
    space: Space
    stack: bool
    def __init__(self, space: _Optional[_Union[Space, _Mapping]] = ..., stack: bool = ...) -> None: ...

class GraphSpace(_message.Message):
    __slots__ = ("node_space", "edge_space")
    NODE_SPACE_FIELD_NUMBER: _ClassVar[int]
    EDGE_SPACE_FIELD_NUMBER: _ClassVar[int]
    node_space: Space
    edge_space: Space
    def __init__(self, node_space: _Optional[_Union[Space, _Mapping]] = ..., edge_space: _Optional[_Union[Space, _Mapping]] = ...) -> None: ...

class OneOfSpace(_message.Message):
    __slots__ = ("spaces",)
    SPACES_FIELD_NUMBER: _ClassVar[int]
    spaces: _containers.RepeatedCompositeFieldContainer[Space]
    def __init__(self, spaces: _Optional[_Iterable[_Union[Space, _Mapping]]] = ...) -> None: ...

class OptionValue(_message.Message):
    __slots__ = ("boolean", "integer", "real", "text", "list")
    BOOLEAN_FIELD_NUMBER: _ClassVar[int]
    INTEGER_FIELD_NUMBER: _ClassVar[int]
    REAL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    boolean: bool
    integer: int
    real: float
    text: str
    list: OptionList
    def __init__(self, boolean: bool = ..., integer: _Optional[int] = ..., real: _Optional[float] = ..., text: _Optional[str] = ..., list: _Optional[_Union[OptionList, _Mapping]] = ...) -> None: ...

class OptionList(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[OptionValue]
    def __init__(self, values: _Optional[_Iterable[_Union[OptionValue, _Mapping]]] = ...) -> None: ...

class Option(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: OptionValue
    def __init__(self, name: _Optional[str] = ..., value: _Optional[_Union[OptionValue, _Mapping]] = ...) -> None: ...

class OptionSpec(_message.Message):
    __slots__ = ("name", "default_value", "allowed", "summary")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_VALUE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    name: str
    default_value: OptionValue
    allowed: str
    summary: str
    def __init__(self, name: _Optional[str] = ..., default_value: _Optional[_Union[OptionValue, _Mapping]] = ..., allowed: _Optional[str] = ..., summary: _Optional[str] = ...) -> None: ...

class HelloRequest(_message.Message):
    __slots__ = ("major", "minor", "client_name", "capabilities", "max_frame_bytes", "token")
    MAJOR_FIELD_NUMBER: _ClassVar[int]
    MINOR_FIELD_NUMBER: _ClassVar[int]
    CLIENT_NAME_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAME_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    major: int
    minor: int
    client_name: str
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    max_frame_bytes: int
    token: str
    def __init__(self, major: _Optional[int] = ..., minor: _Optional[int] = ..., client_name: _Optional[str] = ..., capabilities: _Optional[_Iterable[str]] = ..., max_frame_bytes: _Optional[int] = ..., token: _Optional[str] = ...) -> None: ...

class HelloResponse(_message.Message):
    __slots__ = ("major", "minor", "server_name", "server_version", "capabilities", "limits", "session_id")
    MAJOR_FIELD_NUMBER: _ClassVar[int]
    MINOR_FIELD_NUMBER: _ClassVar[int]
    SERVER_NAME_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    major: int
    minor: int
    server_name: str
    server_version: str
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    limits: Limits
    session_id: int
    def __init__(self, major: _Optional[int] = ..., minor: _Optional[int] = ..., server_name: _Optional[str] = ..., server_version: _Optional[str] = ..., capabilities: _Optional[_Iterable[str]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., session_id: _Optional[int] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_frame_bytes", "max_connections", "max_handles", "max_environments", "max_pending_requests", "max_memory_bytes", "idle_timeout_seconds", "max_threads", "max_server_memory_bytes")
    MAX_FRAME_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_HANDLES_FIELD_NUMBER: _ClassVar[int]
    MAX_ENVIRONMENTS_FIELD_NUMBER: _ClassVar[int]
    MAX_PENDING_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    MAX_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    IDLE_TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_THREADS_FIELD_NUMBER: _ClassVar[int]
    MAX_SERVER_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    max_frame_bytes: int
    max_connections: int
    max_handles: int
    max_environments: int
    max_pending_requests: int
    max_memory_bytes: int
    idle_timeout_seconds: int
    max_threads: int
    max_server_memory_bytes: int
    def __init__(self, max_frame_bytes: _Optional[int] = ..., max_connections: _Optional[int] = ..., max_handles: _Optional[int] = ..., max_environments: _Optional[int] = ..., max_pending_requests: _Optional[int] = ..., max_memory_bytes: _Optional[int] = ..., idle_timeout_seconds: _Optional[int] = ..., max_threads: _Optional[int] = ..., max_server_memory_bytes: _Optional[int] = ...) -> None: ...

class PingRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PingResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ("uptime_seconds", "connections", "environments", "steps", "bytes_received", "bytes_sent", "errors", "connections_total", "connection_use", "server_use")
    UPTIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENTS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    BYTES_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    BYTES_SENT_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_USE_FIELD_NUMBER: _ClassVar[int]
    SERVER_USE_FIELD_NUMBER: _ClassVar[int]
    uptime_seconds: float
    connections: int
    environments: int
    steps: int
    bytes_received: int
    bytes_sent: int
    errors: int
    connections_total: int
    connection_use: _containers.RepeatedCompositeFieldContainer[ResourceUse]
    server_use: _containers.RepeatedCompositeFieldContainer[ResourceUse]
    def __init__(self, uptime_seconds: _Optional[float] = ..., connections: _Optional[int] = ..., environments: _Optional[int] = ..., steps: _Optional[int] = ..., bytes_received: _Optional[int] = ..., bytes_sent: _Optional[int] = ..., errors: _Optional[int] = ..., connections_total: _Optional[int] = ..., connection_use: _Optional[_Iterable[_Union[ResourceUse, _Mapping]]] = ..., server_use: _Optional[_Iterable[_Union[ResourceUse, _Mapping]]] = ...) -> None: ...

class ResourceUse(_message.Message):
    __slots__ = ("resource", "used", "limit")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    resource: str
    used: int
    limit: int
    def __init__(self, resource: _Optional[str] = ..., used: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ShutdownRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ShutdownResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EnvironmentSpec(_message.Message):
    __slots__ = ("id", "summary", "max_episode_steps", "reward_threshold", "nondeterministic", "render_modes", "render_fps", "options", "reset_options", "autoreset_modes", "restorable", "observation_space", "action_space")
    ID_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    MAX_EPISODE_STEPS_FIELD_NUMBER: _ClassVar[int]
    REWARD_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    NONDETERMINISTIC_FIELD_NUMBER: _ClassVar[int]
    RENDER_MODES_FIELD_NUMBER: _ClassVar[int]
    RENDER_FPS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    RESET_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    AUTORESET_MODES_FIELD_NUMBER: _ClassVar[int]
    RESTORABLE_FIELD_NUMBER: _ClassVar[int]
    OBSERVATION_SPACE_FIELD_NUMBER: _ClassVar[int]
    ACTION_SPACE_FIELD_NUMBER: _ClassVar[int]
    id: str
    summary: str
    max_episode_steps: int
    reward_threshold: OptionValue
    nondeterministic: bool
    render_modes: _containers.RepeatedScalarFieldContainer[str]
    render_fps: float
    options: _containers.RepeatedCompositeFieldContainer[OptionSpec]
    reset_options: _containers.RepeatedCompositeFieldContainer[OptionSpec]
    autoreset_modes: _containers.RepeatedScalarFieldContainer[AutoresetMode]
    restorable: bool
    observation_space: Space
    action_space: Space
    def __init__(self, id: _Optional[str] = ..., summary: _Optional[str] = ..., max_episode_steps: _Optional[int] = ..., reward_threshold: _Optional[_Union[OptionValue, _Mapping]] = ..., nondeterministic: bool = ..., render_modes: _Optional[_Iterable[str]] = ..., render_fps: _Optional[float] = ..., options: _Optional[_Iterable[_Union[OptionSpec, _Mapping]]] = ..., reset_options: _Optional[_Iterable[_Union[OptionSpec, _Mapping]]] = ..., autoreset_modes: _Optional[_Iterable[_Union[AutoresetMode, str]]] = ..., restorable: bool = ..., observation_space: _Optional[_Union[Space, _Mapping]] = ..., action_space: _Optional[_Union[Space, _Mapping]] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("environments",)
    ENVIRONMENTS_FIELD_NUMBER: _ClassVar[int]
    environments: _containers.RepeatedCompositeFieldContainer[EnvironmentSpec]
    def __init__(self, environments: _Optional[_Iterable[_Union[EnvironmentSpec, _Mapping]]] = ...) -> None: ...

class MakeRequest(_message.Message):
    __slots__ = ("id", "num_envs", "options", "autoreset", "render_mode", "max_episode_steps", "transport", "check_observations", "pass_out_of_bounds", "autoreset_options", "want_step_time")
    ID_FIELD_NUMBER: _ClassVar[int]
    NUM_ENVS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    AUTORESET_FIELD_NUMBER: _ClassVar[int]
    RENDER_MODE_FIELD_NUMBER: _ClassVar[int]
    MAX_EPISODE_STEPS_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    CHECK_OBSERVATIONS_FIELD_NUMBER: _ClassVar[int]
    PASS_OUT_OF_BOUNDS_FIELD_NUMBER: _ClassVar[int]
    AUTORESET_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    WANT_STEP_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    num_envs: int
    options: _containers.RepeatedCompositeFieldContainer[Option]
    autoreset: AutoresetMode
    render_mode: str
    max_episode_steps: int
    transport: Transport
    check_observations: bool
    pass_out_of_bounds: bool
    autoreset_options: _containers.RepeatedCompositeFieldContainer[Option]
    want_step_time: bool
    def __init__(self, id: _Optional[str] = ..., num_envs: _Optional[int] = ..., options: _Optional[_Iterable[_Union[Option, _Mapping]]] = ..., autoreset: _Optional[_Union[AutoresetMode, str]] = ..., render_mode: _Optional[str] = ..., max_episode_steps: _Optional[int] = ..., transport: _Optional[_Union[Transport, str]] = ..., check_observations: bool = ..., pass_out_of_bounds: bool = ..., autoreset_options: _Optional[_Iterable[_Union[Option, _Mapping]]] = ..., want_step_time: bool = ...) -> None: ...

class MakeResponse(_message.Message):
    __slots__ = ("handle", "num_envs", "spec", "observation_space", "action_space", "batched_observation_space", "batched_action_space", "autoreset", "transport", "max_episode_steps", "shared_memory")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    NUM_ENVS_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    OBSERVATION_SPACE_FIELD_NUMBER: _ClassVar[int]
    ACTION_SPACE_FIELD_NUMBER: _ClassVar[int]
    BATCHED_OBSERVATION_SPACE_FIELD_NUMBER: _ClassVar[int]
    BATCHED_ACTION_SPACE_FIELD_NUMBER: _ClassVar[int]
    AUTORESET_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    MAX_EPISODE_STEPS_FIELD_NUMBER: _ClassVar[int]
    SHARED_MEMORY_FIELD_NUMBER: _ClassVar[int]
    handle: int
    num_envs: int
    spec: EnvironmentSpec
    observation_space: Space
    action_space: Space
    batched_observation_space: Space
    batched_action_space: Space
    autoreset: AutoresetMode
    transport: Transport
    max_episode_steps: int
    shared_memory: SharedMemory
    def __init__(self, handle: _Optional[int] = ..., num_envs: _Optional[int] = ..., spec: _Optional[_Union[EnvironmentSpec, _Mapping]] = ..., observation_space: _Optional[_Union[Space, _Mapping]] = ..., action_space: _Optional[_Union[Space, _Mapping]] = ..., batched_observation_space: _Optional[_Union[Space, _Mapping]] = ..., batched_action_space: _Optional[_Union[Space, _Mapping]] = ..., autoreset: _Optional[_Union[AutoresetMode, str]] = ..., transport: _Optional[_Union[Transport, str]] = ..., max_episode_steps: _Optional[int] = ..., shared_memory: _Optional[_Union[SharedMemory, _Mapping]] = ...) -> None: ...

class SharedMemory(_message.Message):
    __slots__ = ("size", "control_offset", "actions", "results")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    CONTROL_OFFSET_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    size: int
    control_offset: int
    actions: _containers.RepeatedCompositeFieldContainer[Region]
    results: _containers.RepeatedCompositeFieldContainer[ResultRegions]
    def __init__(self, size: _Optional[int] = ..., control_offset: _Optional[int] = ..., actions: _Optional[_Iterable[_Union[Region, _Mapping]]] = ..., results: _Optional[_Iterable[_Union[ResultRegions, _Mapping]]] = ...) -> None: ...

class ResultRegions(_message.Message):
    __slots__ = ("observation", "final_observation", "rewards", "terminated", "truncated", "episode_returns", "episode_lengths", "step_nanoseconds")
    OBSERVATION_FIELD_NUMBER: _ClassVar[int]
    FINAL_OBSERVATION_FIELD_NUMBER: _ClassVar[int]
    REWARDS_FIELD_NUMBER: _ClassVar[int]
    TERMINATED_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    EPISODE_RETURNS_FIELD_NUMBER: _ClassVar[int]
    EPISODE_LENGTHS_FIELD_NUMBER: _ClassVar[int]
    STEP_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    observation: _containers.RepeatedCompositeFieldContainer[Region]
    final_observation: _containers.RepeatedCompositeFieldContainer[Region]
    rewards: Region
    terminated: Region
    truncated: Region
    episode_returns: Region
    episode_lengths: Region
    step_nanoseconds: Region
    def __init__(self, observation: _Optional[_Iterable[_Union[Region, _Mapping]]] = ..., final_observation: _Optional[_Iterable[_Union[Region, _Mapping]]] = ..., rewards: _Optional[_Union[Region, _Mapping]] = ..., terminated: _Optional[_Union[Region, _Mapping]] = ..., truncated: _Optional[_Union[Region, _Mapping]] = ..., episode_returns: _Optional[_Union[Region, _Mapping]] = ..., episode_lengths: _Optional[_Union[Region, _Mapping]] = ..., step_nanoseconds: _Optional[_Union[Region, _Mapping]] = ...) -> None: ...

class Region(_message.Message):
    __slots__ = ("offset", "dtype", "shape")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    offset: int
    dtype: DType
    shape: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, offset: _Optional[int] = ..., dtype: _Optional[_Union[DType, str]] = ..., shape: _Optional[_Iterable[int]] = ...) -> None: ...

class Seed(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: int
    def __init__(self, value: _Optional[int] = ...) -> None: ...

class ResetRequest(_message.Message):
    __slots__ = ("seeds", "mask", "options", "want_info")
    SEEDS_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    WANT_INFO_FIELD_NUMBER: _ClassVar[int]
    seeds: _containers.RepeatedCompositeFieldContainer[Seed]
    mask: bytes
    options: _containers.RepeatedCompositeFieldContainer[Option]
    want_info: bool
    def __init__(self, seeds: _Optional[_Iterable[_Union[Seed, _Mapping]]] = ..., mask: _Optional[bytes] = ..., options: _Optional[_Iterable[_Union[Option, _Mapping]]] = ..., want_info: bool = ...) -> None: ...

class ResetResponse(_message.Message):
    __slots__ = ("observation", "effective_seeds", "info", "faults")
    OBSERVATION_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_SEEDS_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    observation: _containers.RepeatedCompositeFieldContainer[Leaf]
    effective_seeds: _containers.RepeatedScalarFieldContainer[int]
    info: _containers.RepeatedCompositeFieldContainer[InfoColumn]
    faults: _containers.RepeatedCompositeFieldContainer[Fault]
    def __init__(self, observation: _Optional[_Iterable[_Union[Leaf, _Mapping]]] = ..., effective_seeds: _Optional[_Iterable[int]] = ..., info: _Optional[_Iterable[_Union[InfoColumn, _Mapping]]] = ..., faults: _Optional[_Iterable[_Union[Fault, _Mapping]]] = ...) -> None: ...

class StepRequest(_message.Message):
    __slots__ = ("action", "want_info")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    WANT_INFO_FIELD_NUMBER: _ClassVar[int]
    action: _containers.RepeatedCompositeFieldContainer[Leaf]
    want_info: bool
    def __init__(self, action: _Optional[_Iterable[_Union[Leaf, _Mapping]]] = ..., want_info: bool = ...) -> None: ...

class StepResponse(_message.Message):
    __slots__ = ("observation", "rewards", "terminated", "truncated", "final_index", "final_observation", "episode_returns", "episode_lengths", "info", "final_info", "faults", "environment_index", "step_nanoseconds")
    OBSERVATION_FIELD_NUMBER: _ClassVar[int]
    REWARDS_FIELD_NUMBER: _ClassVar[int]
    TERMINATED_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    FINAL_INDEX_FIELD_NUMBER: _ClassVar[int]
    FINAL_OBSERVATION_FIELD_NUMBER: _ClassVar[int]
    EPISODE_RETURNS_FIELD_NUMBER: _ClassVar[int]
    EPISODE_LENGTHS_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    FINAL_INFO_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_INDEX_FIELD_NUMBER: _ClassVar[int]
    STEP_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    observation: _containers.RepeatedCompositeFieldContainer[Leaf]
    rewards: bytes
    terminated: bytes
    truncated: bytes
    final_index: _containers.RepeatedScalarFieldContainer[int]
    final_observation: _containers.RepeatedCompositeFieldContainer[Leaf]
    episode_returns: bytes
    episode_lengths: bytes
    info: _containers.RepeatedCompositeFieldContainer[InfoColumn]
    final_info: _containers.RepeatedCompositeFieldContainer[InfoColumn]
    faults: _containers.RepeatedCompositeFieldContainer[Fault]
    environment_index: _containers.RepeatedScalarFieldContainer[int]
    step_nanoseconds: bytes
    def __init__(self, observation: _Optional[_Iterable[_Union[Leaf, _Mapping]]] = ..., rewards: _Optional[bytes] = ..., terminated: _Optional[bytes] = ..., truncated: _Optional[bytes] = ..., final_index: _Optional[_Iterable[int]] = ..., final_observation: _Optional[_Iterable[_Union[Leaf, _Mapping]]] = ..., episode_returns: _Optional[bytes] = ..., episode_lengths: _Optional[bytes] = ..., info: _Optional[_Iterable[_Union[InfoColumn, _Mapping]]] = ..., final_info: _Optional[_Iterable[_Union[InfoColumn, _Mapping]]] = ..., faults: _Optional[_Iterable[_Union[Fault, _Mapping]]] = ..., environment_index: _Optional[_Iterable[int]] = ..., step_nanoseconds: _Optional[bytes] = ...) -> None: ...

class InfoColumn(_message.Message):
    __slots__ = ("name", "tensor", "objects", "mask")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    name: str
    tensor: Tensor
    objects: ValueList
    mask: bytes
    def __init__(self, name: _Optional[str] = ..., tensor: _Optional[_Union[Tensor, _Mapping]] = ..., objects: _Optional[_Union[ValueList, _Mapping]] = ..., mask: _Optional[bytes] = ...) -> None: ...

class Fault(_message.Message):
    __slots__ = ("environment_index", "message")
    ENVIRONMENT_INDEX_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    environment_index: int
    message: str
    def __init__(self, environment_index: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class SendRequest(_message.Message):
    __slots__ = ("environment_index", "action")
    ENVIRONMENT_INDEX_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    environment_index: _containers.RepeatedScalarFieldContainer[int]
    action: _containers.RepeatedCompositeFieldContainer[Leaf]
    def __init__(self, environment_index: _Optional[_Iterable[int]] = ..., action: _Optional[_Iterable[_Union[Leaf, _Mapping]]] = ...) -> None: ...

class SendResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReceiveRequest(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class RenderRequest(_message.Message):
    __slots__ = ("environment_index",)
    ENVIRONMENT_INDEX_FIELD_NUMBER: _ClassVar[int]
    environment_index: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, environment_index: _Optional[_Iterable[int]] = ...) -> None: ...

class RenderResponse(_message.Message):
    __slots__ = ("frames",)
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    frames: _containers.RepeatedCompositeFieldContainer[Frame]
    def __init__(self, frames: _Optional[_Iterable[_Union[Frame, _Mapping]]] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("image", "text")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    image: Tensor
    text: str
    def __init__(self, image: _Optional[_Union[Tensor, _Mapping]] = ..., text: _Optional[str] = ...) -> None: ...

class GetStateRequest(_message.Message):
    __slots__ = ("environment_index",)
    ENVIRONMENT_INDEX_FIELD_NUMBER: _ClassVar[int]
    environment_index: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, environment_index: _Optional[_Iterable[int]] = ...) -> None: ...

class GetStateResponse(_message.Message):
    __slots__ = ("states",)
    STATES_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, states: _Optional[_Iterable[bytes]] = ...) -> None: ...

class SetStateRequest(_message.Message):
    __slots__ = ("environment_index", "states")
    ENVIRONMENT_INDEX_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    environment_index: _containers.RepeatedScalarFieldContainer[int]
    states: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, environment_index: _Optional[_Iterable[int]] = ..., states: _Optional[_Iterable[bytes]] = ...) -> None: ...

class SetStateResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SampleRequest(_message.Message):
    __slots__ = ("space", "seed")
    SPACE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    space: SpaceKind
    seed: Seed
    def __init__(self, space: _Optional[_Union[SpaceKind, str]] = ..., seed: _Optional[_Union[Seed, _Mapping]] = ...) -> None: ...

class SampleResponse(_message.Message):
    __slots__ = ("sample",)
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    sample: _containers.RepeatedCompositeFieldContainer[Leaf]
    def __init__(self, sample: _Optional[_Iterable[_Union[Leaf, _Mapping]]] = ...) -> None: ...

class ContainsRequest(_message.Message):
    __slots__ = ("space", "members")
    SPACE_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    space: SpaceKind
    members: _containers.RepeatedCompositeFieldContainer[Leaf]
    def __init__(self, space: _Optional[_Union[SpaceKind, str]] = ..., members: _Optional[_Iterable[_Union[Leaf, _Mapping]]] = ...) -> None: ...

class ContainsResponse(_message.Message):
    __slots__ = ("contained",)
    CONTAINED_FIELD_NUMBER: _ClassVar[int]
    contained: bytes
    def __init__(self, contained: _Optional[bytes] = ...) -> None: ...

class CloseRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CloseResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "message", "fatal", "details")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FATAL_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    code: ErrorCode
    message: str
    fatal: bool
    details: _containers.RepeatedCompositeFieldContainer[ErrorDetail]
    def __init__(self, code: _Optional[_Union[ErrorCode, str]] = ..., message: _Optional[str] = ..., fatal: bool = ..., details: _Optional[_Iterable[_Union[ErrorDetail, _Mapping]]] = ...) -> None: ...

class ErrorDetail(_message.Message):
    __slots__ = ("field", "environment_index", "expected", "got")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_INDEX_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    GOT_FIELD_NUMBER: _ClassVar[int]
    field: str
    environment_index: int
    expected: str
    got: str
    def __init__(self, field: _Optional[str] = ..., environment_index: _Optional[int] = ..., expected: _Optional[str] = ..., got: _Optional[str] = ...) -> None: ...
