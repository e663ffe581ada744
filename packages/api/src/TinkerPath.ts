/**
 * Paths of checkpoints: `tinker://<training run>/<kind>/<name>`. The kind is `weights` for training states,
 * `sampler_weights` for weights to sample from, and `external_weights` for weights in a format of other programs. Some
 * servers have the one kind `checkpoints` for weights to train and to sample from.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/**
 * A parsed path.
 *
 * @since 0.1.0
 * @category models
 */
export interface TinkerPath {
  readonly training_run_id: string
  readonly kind: Kind
  readonly name: string
}

/**
 * The kind of a checkpoint in a path.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Kind = Schema.Literal("weights", "sampler_weights", "external_weights", "checkpoints")

/**
 * @since 0.1.0
 * @category models
 */
export type Kind = typeof Kind.Type

const types = {
  weights: "training",
  sampler_weights: "sampler",
  external_weights: "external",
  checkpoints: "training"
} as const

const isKind = (kind: string | undefined): kind is Kind => kind !== undefined && Object.hasOwn(types, kind)

/**
 * Parses a path of three segments, or of two (`tinker://<run>/<name>`), which some servers return for sampler weights.
 *
 * @since 0.1.0
 * @category conversions
 */
export const parse = (path: string): Option.Option<TinkerPath> => {
  if (!path.startsWith("tinker://")) return Option.none()
  const parts = path.slice("tinker://".length).split("/")
  const [training_run_id, kind, name] = parts.length === 2 ? [parts[0], "sampler_weights", parts[1]] : parts
  return parts.length <= 3 && training_run_id && name && isKind(kind)
    ? Option.some({ training_run_id, kind, name })
    : Option.none()
}

/**
 * The path as a string.
 *
 * @since 0.1.0
 * @category conversions
 */
export const format = (self: TinkerPath): string => `tinker://${self.training_run_id}/${self.kind}/${self.name}`

/**
 * The id of a checkpoint within its training run: `<kind>/<name>`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const checkpointId = (self: TinkerPath): string => `${self.kind}/${self.name}`

/**
 * The type of the checkpoint.
 *
 * @since 0.1.0
 * @category getters
 */
export const checkpointType = (self: TinkerPath): "training" | "sampler" | "external" => types[self.kind]

/**
 * Whether the checkpoint is a training state.
 *
 * @since 0.1.0
 * @category guards
 */
export const isTrainingState = ({ kind }: TinkerPath): boolean => kind === "weights" || kind === "checkpoints"

/**
 * Whether the checkpoint has weights to sample from.
 *
 * @since 0.1.0
 * @category guards
 */
export const isSampler = ({ kind }: TinkerPath): boolean => kind === "sampler_weights" || kind === "checkpoints"

/**
 * Whether every compatible server accepts a checkpoint name: it has letters, digits, `_`, `-` and, except at the start,
 * `.`, and at most 255 characters.
 *
 * @since 0.1.0
 * @category guards
 */
export const isCheckpointName = (name: string): boolean => /^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}$/.test(name)

const Part = Schema.String.pipe(Schema.pattern(/^[^/]+$/))

/**
 * A path as a string on the wire, parsed in memory.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TinkerPathFromString: Schema.Schema<TinkerPath, string> = Schema.transform(
  Schema.String.pipe(
    Schema.filter(
      (path) =>
        Option.isSome(parse(path)) || "is not a path: give tinker://<training run>/<weights or sampler_weights>/<name>",
      {
        jsonSchema: { type: "string", pattern: "^tinker://[^/]+(/[^/]+){1,2}$" },
        description: "the path of a checkpoint: tinker://<training run>/<kind>/<name>"
      }
    )
  ),
  Schema.Struct({ training_run_id: Part, kind: Kind, name: Part }),
  { strict: true, decode: (path) => Option.getOrThrow(parse(path)), encode: format }
)
