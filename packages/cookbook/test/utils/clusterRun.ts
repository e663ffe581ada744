/** A run of reinforcement learning whose episodes are played by runners, and what each episode leaves in a log. */
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Env from "../../src/Env.ts"
import * as LearningRate from "../../src/LearningRate.ts"
import * as NodeRollouts from "../../src/NodeRollouts.ts"
import type * as Rl from "../../src/Rl.ts"

export const perStep = 4
export const size = 3

/** Processes look after each other often, so that a test need not wait, yet not more often than a busy machine can. */
export const sharding = {
  shardsPerGroup: 24,
  shardLockRefreshInterval: "1 second",
  shardLockExpiration: "5 seconds",
  entityMessagePollInterval: "300 millis",
  refreshAssignmentsInterval: "300 millis",
  runnerHealthCheckInterval: "1 second"
} as const

export const layerDatabase = (database: string): Layer.Layer<SqlClient.SqlClient, unknown> =>
  database.startsWith("postgres:")
    ? PgClient.layer({ url: Redacted.make(database) })
    : Layer.provide(NodeRollouts.layerSqlite(database), NodeContext.layer)

export interface Where {
  /** one line for each begin and each end of an episode, with the id of the process */
  readonly log: string
  /** how long an episode takes */
  readonly millis: number
  /** the name of an episode that fails */
  readonly failing?: string | undefined
}

const note = ({ log }: Where, line: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.writeFileString(log, `${line} ${process.pid}\n`, { flag: "a" }))

type Fault = Env.GraderTimeout | "failed"

const groupOf = (where: Where, name: string, prompt: number): Env.EnvGroup<Fault, FileSystem.FileSystem> => {
  const { env, ...group } = Env.problem<never, FileSystem.FileSystem>({
    prompt: [prompt],
    stop: "\n",
    size,
    decode: (tokens) => String.fromCharCode(...Array.from(tokens)),
    formPenalty: 0,
    grade: ({ tokens }) => tokens[0]! % 2
  })
  return {
    ...group,
    env: (member) =>
      Effect.gen(function* () {
        yield* Effect.orDie(note(where, `begin ${name}.${member}`))
        if (where.failing === `${name}.${member}`) return yield* Effect.fail("failed" as const)
        const made = yield* env(member)
        const step: typeof made.step = (action) => Effect.delay(made.step(action), where.millis)
        return { ...made, step }
      })
  }
}

/** The file system of a runner: an episode has ended when its file has its name. */
export const layerFiles = (where: Where) =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => ({
      ...fs,
      rename: (from: string, to: string) => {
        const [, step, group, member] = /(\d+)-\d+-(\d+)\/(\d+)-\d+\.json$/.exec(to) ?? []
        const ended = note(where, `end ${step}.${group}.${member}`)
        return Effect.tap(fs.rename(from, to), Effect.provideService(ended, FileSystem.FileSystem, fs))
      }
    }))
  ).pipe(Layer.provide(NodeContext.layer))

export const groups = (where: Where): Rl.Source<Fault, FileSystem.FileSystem> => ({
  fingerprint: "cluster",
  at: (step) =>
    Effect.succeed(Array.from({ length: perStep }, (_, i) => groupOf(where, `${step}.${i}`, 65 + ((step + i) % 8))))
})

export const options = (where: Where, steps: number): Rl.Options<Fault, FileSystem.FileSystem> => ({
  model: { base_model: TestEngine.baseModel, rank: 4, seed: 1 },
  groups: groups(where),
  steps,
  learningRate: LearningRate.constant(0.1),
  constantGroups: "keep",
  rollouts: { sampling: { max_tokens: 1 } },
  checkpoints: { final: false }
})
