/**
 * Which rooms, the folders below `internal/`, may import which. The table is the rule: a new room, or a new import between
 * two, is a change of the table.
 */
import { edges, packages, placeOf, shortPath } from "./sources.mjs"

/**
 * What each room imports of its own package: rooms by the names of their folders, then public modules by theirs. The rooms
 * of a package are in order: each imports only rooms above it. Public modules may import every room of their package.
 */
export const allowedRooms = {
  api: {
    effect: [],
    protobuf: ["Datum", "LossFn", "ModelInput", "Sampling", "TensorData", "Training"],
    zstd: [],
    tensor: ["effect"],
    arbitraries: ["tensor"],
    schemas: ["effect", "arbitraries"],
    datum: ["schemas", "LossFn", "ModelInput", "TensorData"],
    endpoints: [
      "schemas",
      "Audit",
      "Auth",
      "Billing",
      "Checkpoint",
      "CustomLoss",
      "Future",
      "Model",
      "Pagination",
      "Sampling",
      "Session",
      "SessionSearch",
      "Telemetry",
      "TinkerPath",
      "Training",
      "TrainingRun",
      "Weights"
    ],
    errors: ["schemas", "Future"],
    weights: ["schemas", "Model"],
    modelInput: ["effect", "schemas", "tensor", "arbitraries"]
  },
  tokenizers: {
    json: [],
    python: ["json"],
    jinja: ["python"],
    chat: ["json", "python", "jinja"],
    hash: [],
    util: [],
    hub: ["hash", "util"],
    datasets: ["hub"],
    encoding: ["python"],
    tokenizer: ["python", "chat", "util", "encoding"],
    gguf: ["tokenizer"],
    ollama: ["tokenizer"],
    weights: ["hub"],
    models: ["hub", "tokenizer", "gguf"]
  },
  client: {
    platform: [],
    util: [],
    effect: ["util"],
    network: ["platform"],
    limits: ["util", "Session"],
    session: ["util", "ClientFlags", "RetryPolicy", "Session", "TinkerClient"],
    auth: ["effect", "platform", "util", "ClientFlags", "Credentials", "RetryPolicy"],
    codec: ["effect"],
    telemetry: ["platform", "util", "effect", "QueueState"],
    polling: ["util", "effect", "limits", "codec", "telemetry", "QueueState", "RetryPolicy", "TinkerClient"],
    rest: ["util", "network", "auth", "codec", "telemetry", "RetryPolicy", "TinkerClient"],
    transport: [
      "platform",
      "util",
      "effect",
      "network",
      "auth",
      "codec",
      "telemetry",
      "QueueState",
      "RetryPolicy",
      "Telemetry",
      "TinkerConfig"
    ],
    download: ["platform", "util", "effect", "network", "rest", "telemetry", "RestClient", "RetryPolicy"],
    sampling: [
      "util",
      "effect",
      "limits",
      "session",
      "codec",
      "telemetry",
      "polling",
      "transport",
      "QueueState",
      "RetryPolicy",
      "Session",
      "TinkerClient",
      "TinkerFuture"
    ],
    submissions: ["util", "limits", "telemetry", "polling", "QueueState", "TinkerClient", "TinkerFuture"],
    training: [
      "platform",
      "limits",
      "session",
      "codec",
      "submissions",
      "CustomLoss",
      "QueueState",
      "RetryPolicy",
      "Session",
      "TinkerClient"
    ],
    models: [
      "util",
      "limits",
      "codec",
      "telemetry",
      "polling",
      "session",
      "training",
      "QueueState",
      "Session",
      "TinkerClient",
      "TinkerFuture",
      "TrainingClient"
    ]
  },
  server: {
    effect: [],
    safetensors: [],
    util: [],
    store: ["effect", "util"],
    auth: ["util"],
    monitoring: ["effect", "util"],
    checkpoints: ["effect", "util", "store", "auth", "CheckpointStore", "Engine", "SafeTensors", "Store"],
    http: ["effect", "util", "auth", "monitoring", "TinkerService"],
    records: ["auth", "monitoring", "Store"],
    transfers: ["util", "auth", "checkpoints", "http", "records", "TinkerService"],
    turns: ["effect", "Engine"],
    work: ["effect", "util", "auth", "checkpoints", "records", "turns", "CheckpointStore", "Engine", "Store"],
    endpoints: ["util", "auth", "monitoring", "http", "transfers", "TinkerService"],
    openai: ["auth", "effect", "monitoring", "http", "util", "TextFormats", "TinkerService"],
    sampling: ["effect", "util", "auth", "checkpoints", "turns", "work", "Engine", "Store"],
    models: [
      "effect",
      "util",
      "auth",
      "checkpoints",
      "turns",
      "work",
      "sampling",
      "CheckpointStore",
      "Engine",
      "Store"
    ],
    queries: ["util", "auth", "checkpoints", "records", "work", "sampling", "models", "CheckpointStore", "Store"],
    commands: ["effect", "util", "auth", "checkpoints", "work", "queries", "Engine", "Store"],
    service: [
      "effect",
      "util",
      "checkpoints",
      "records",
      "turns",
      "work",
      "sampling",
      "models",
      "queries",
      "commands",
      "CheckpointStore",
      "Engine",
      "Store"
    ]
  },
  engine: {
    effect: [],
    util: [],
    onnx: ["util"],
    executors: ["effect", "util", "onnx"],
    families: ["ModelConfig"],
    model: ["util", "executors", "families", "ModelConfig", "ModelDirectory"],
    gguf: ["util", "onnx", "executors", "model", "ModelConfig"],
    lora: ["util", "executors", "model", "ModelConfig"],
    export: ["util", "executors", "model", "gguf", "lora", "ModelConfig", "ModelDirectory"],
    programs: ["executors", "model", "ModelConfig"],
    machine: [],
    blocks: ["executors", "model", "programs"],
    grammar: ["util", "model"],
    generation: ["effect", "grammar", "util", "executors", "model", "lora", "programs", "blocks"],
    training: ["util", "executors", "model", "lora", "programs", "blocks"],
    engine: ["util", "executors", "model", "lora", "grammar", "generation", "training", "ModelDirectory"],
    worker: ["effect", "util", "training", "engine", "JaxEngine", "ModelDirectory"]
  },
  testing: {
    effect: [],
    engine: [],
    simulator: ["effect", "TestEngine", "TestServer"],
    util: [],
    hub: ["effect", "util"],
    network: ["effect", "Fault", "Weather"],
    scripted: ["effect"],
    dialect: ["effect", "scripted"],
    simulation: ["effect"]
  },
  embedded: {
    models: [],
    database: [],
    engine: [],
    files: [],
    downloads: []
  },
  cookbook: {
    effect: [],
    models: [],
    nll: [],
    messages: [],
    bytes: ["effect"],
    report: ["effect"],
    metrics: ["effect"],
    run: ["effect", "metrics", "DataReport"],
    trajectories: [],
    regularizers: [],
    capture: ["trajectories"],
    supervised: ["metrics", "Cost", "DataReport", "LearningRate", "Metrics", "Nll", "RunDirectory"],
    preferences: ["supervised", "Nll"],
    comparisons: [],
    distillation: ["Nll"],
    records: ["effect", "Message", "Record"],
    evaluation: ["effect", "run", "records"],
    benchmarks: ["evaluation"],
    parquet: ["effect", "bytes"],
    dataset: ["bytes", "records", "parquet"],
    formats: ["effect", "Message"],
    examples: ["formats"],
    responses: ["formats", "Message"],
    order: ["effect", "bytes", "records", "dataset"],
    templates: ["formats", "Message"],
    chat: ["formats", "Message"],
    languageModel: ["formats", "Message"],
    renderers: ["formats", "responses", "templates"],
    environments: ["effect", "formats", "trajectories", "Message"],
    toolkits: ["effect", "languageModel", "environments"],
    rollouts: ["effect", "order", "trajectories", "environments"],
    agents: ["effect", "trajectories", "environments", "Capture"],
    rl: [
      "effect",
      "metrics",
      "run",
      "supervised",
      "records",
      "trajectories",
      "environments",
      "rollouts",
      "Advantages",
      "Kl",
      "LearningRate",
      "Metrics",
      "RunDirectory"
    ],
    cluster: ["effect", "trajectories", "environments", "rollouts", "rl"]
  },
  cli: {
    effect: [],
    text: [],
    errors: ["text"],
    auth: ["errors"],
    util: ["errors"],
    terminal: ["effect", "text", "errors", "util"],
    checkpoints: ["errors", "terminal"],
    definition: ["errors", "terminal"],
    service: ["effect", "errors", "util", "terminal"],
    doctor: ["errors", "util", "terminal", "service"],
    huggingFace: ["effect", "text", "errors", "terminal", "definition"],
    init: [],
    sampling: ["text", "errors", "terminal", "checkpoints", "definition", "service"],
    training: ["effect", "text", "errors", "terminal", "definition", "service"],
    chat: ["text", "errors", "terminal"],
    handlers: [
      "chat",
      "text",
      "errors",
      "auth",
      "util",
      "terminal",
      "checkpoints",
      "definition",
      "service",
      "doctor",
      "huggingFace",
      "init",
      "sampling",
      "training"
    ],
    commands: ["text", "terminal", "definition", "handlers"]
  }
}

const table = "scripts/check-source/rooms.mjs"

/** Each room of the table imports only rooms above it. */
const checkOrder = (report) => {
  for (const { directory, name } of packages) {
    const order = Object.keys(allowedRooms[name] ?? {})
    for (const [i, room] of order.entries()) {
      const below = allowedRooms[name][room].filter((other) => order.indexOf(other) >= i)
      if (below.length > 0) report(directory, 0, `internal/${room} comes before ${below.join(", ")} in ${table}`)
    }
  }
}

const checkRooms = (report) => {
  const actual = actualRooms()
  for (const { from, line, to } of edges()) {
    const [source, target] = [placeOf(from), placeOf(to)]
    if (source?.room === undefined || source.package !== target?.package || source.room === target.room) continue
    const allowed = allowedRooms[source.package]?.[source.room]
    if (allowed === undefined) continue
    if (allowed.includes(target.room ?? target.module)) continue
    report(from, line, `internal/${source.room} may not import ${shortPath(to)}: see ${table}`)
  }
  for (const { directory, name, sources } of packages) {
    const rooms = new Set(sources.map((path) => placeOf(path).room).filter(Boolean))
    for (const room of rooms) {
      if (allowedRooms[name]?.[room] === undefined) {
        report(directory, 0, `internal/${room} has no entry in ${table}`)
      }
    }
    for (const [room, allowed] of Object.entries(allowedRooms[name] ?? {})) {
      const unused = allowed.filter((other) => !actual[name]?.[room]?.includes(other))
      if (!rooms.has(room)) report(directory, 0, `has no internal/${room}: remove it from ${table}`)
      else if (unused.length > 0)
        report(directory, 0, `internal/${room} does not import ${unused.join(", ")}: remove it from ${table}`)
    }
  }
}

/** The actual rooms: package → room → what its files import of the package. Printed by --rooms. */
export const actualRooms = () => {
  const found = {}
  for (const { from, to } of edges()) {
    const [source, target] = [placeOf(from), placeOf(to)]
    if (source?.room === undefined || source.package !== target?.package || source.room === target.room) continue
    found[source.package] ??= {}
    found[source.package][source.room] ??= new Set()
    found[source.package][source.room].add(target.room ?? target.module)
  }
  for (const { name, sources } of packages) {
    for (const path of sources) {
      const { room } = placeOf(path)
      if (room !== undefined) (found[name] ??= {})[room] ??= new Set()
    }
  }
  return Object.fromEntries(
    Object.entries(found).map(([name, rooms]) => [
      name,
      Object.fromEntries(
        Object.keys(rooms)
          .sort()
          .map((room) => [room, [...rooms[room]].sort()])
      )
    ])
  )
}

export const check = (report) => {
  checkOrder(report)
  checkRooms(report)
}
