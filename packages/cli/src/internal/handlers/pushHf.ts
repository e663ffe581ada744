import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as Weights from "@effect-tinker/api/Weights"
import * as CheckpointDownload from "@effect-tinker/client/CheckpointDownload"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as Hub from "@effect-tinker/tokenizers/Hub"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import type * as hub from "@huggingface/hub"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { CliError } from "../cliError.ts"
import type { Global } from "../commands.ts"
import * as format from "../format.ts"
import * as Io from "../io.ts"
import * as output from "../output.ts"
import * as progress from "../progress.ts"
import { withRest } from "../rest.ts"
import { checkPath } from "./checkpoint.ts"

interface Options extends Global {
  readonly path: string
  readonly repo: Option.Option<string>
  readonly public: boolean
  readonly revision: Option.Option<string>
  readonly commitMessage: Option.Option<string>
  readonly createPr: boolean
  readonly allowPattern: ReadonlyArray<string>
  readonly ignorePattern: ReadonlyArray<string>
  readonly noModelCard: boolean
}

/** A name that the hub takes for a repository or a branch. */
const nameOf = (text: string): string =>
  text
    .replace(/[^\p{L}\p{N}_.-]/gu, "-")
    .replace(/-{2,}/g, "-")
    .replace(/^[-_.]+|[-_.]+$/g, "")

/** Whether a name is matched by a shell pattern, whose `*` stands for anything, and which names a directory by `/`. */
const matches = (pattern: string): ((name: string) => boolean) => {
  const source = (pattern.endsWith("/") ? `${pattern}*` : pattern).replace(
    /\[(!?)([^\]]+)\]|[\s\S]/g,
    (part, not: string | undefined, set: string | undefined) => {
      if (set !== undefined) return `[${not === "!" ? "^" : ""}${set.replace(/[\\^]/g, "\\$&")}]`
      if (part === "*") return "[\\s\\S]*"
      if (part === "?") return "[\\s\\S]"
      return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
    }
  )
  const expression = new RegExp(`^${source}$`)
  return (name) => expression.test(name)
}

const card = (options: {
  readonly path: string
  readonly repo: string
  readonly weights: Weights.WeightsInfoResponse | undefined
}): string => {
  const { path, repo, weights } = options
  const base = weights?.base_model
  const parts = [
    ["attention", weights?.train_attn],
    ["MLP", weights?.train_mlp],
    ["unembedding", weights?.train_unembed]
  ]
    .filter(([, isTrained]) => isTrained === true)
    .map(([name]) => name)
  const tags = ["tinker", "peft", "lora", ...(base === undefined ? [] : [`base_model:adapter:${base}`])]
  return [
    "---",
    ...(base === undefined ? [] : [`base_model: ${base}`]),
    "library_name: peft",
    "tags:",
    ...tags.map((tag) => `- ${tag}`),
    `tinker_path: ${path}`,
    "---",
    "",
    `# ${repo.split("/").pop()}`,
    "",
    `A LoRA adapter${base === undefined ? "" : ` of ${base}`}, fine-tuned with Tinker and saved as \`${path}\`.`,
    "",
    ...(weights?.lora_rank === undefined ? [] : [`- rank ${weights.lora_rank}`]),
    ...(parts.length === 0 ? [] : [`- on ${parts.join(", ")}`]),
    "",
    "```python",
    "from peft import AutoPeftModelForCausalLM",
    "",
    `model = AutoPeftModelForCausalLM.from_pretrained("${repo}", device_map="auto")`,
    "```",
    ""
  ].join("\n")
}

/** Calls of the hub, whose errors name what to do and never show the token. */
const hubOf = Effect.gen(function* () {
  const { endpoint = "https://huggingface.co", token } = yield* Effect.mapError(
    Hub.fromConfig(),
    (cause) => new CliError({ title: "Configuration error", details: String(cause), cause })
  )
  const login = "Set HF_TOKEN to a token that may write, or run 'hf auth login'"
  if (token === undefined) return yield* new CliError({ title: "Not logged in to Hugging Face", details: login })
  const secret = Redacted.value(token)
  yield* Effect.flatMap(Io.Io, ({ hide }) => hide(secret))
  if (!secret.startsWith("hf_")) {
    return yield* new CliError({ title: "HF_TOKEN is no token of Hugging Face: these start with hf_", details: login })
  }
  const library = yield* Effect.promise(() => import("@huggingface/hub"))

  const failed = (cause: unknown): CliError => {
    if (!(cause instanceof library.HubApiError)) {
      const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
      return new CliError({
        title: `${endpoint} cannot be reached`,
        details: `${inner instanceof Error ? inner.message : String(inner)}. Check HF_ENDPOINT and the network`,
        cause
      })
    }
    const { message, requestId, statusCode } = cause
    const details = `${message}${requestId === undefined || message.includes(requestId) ? "" : ` (request ${requestId})`}`
    if (statusCode === 401)
      return new CliError({ title: "Not logged in to Hugging Face", details: `${login}: ${details}` })
    if (statusCode === 403) {
      return new CliError({
        title: "Permission denied by Hugging Face",
        details: `The token may not write there. ${login}: ${details}`
      })
    }
    return new CliError({ title: `Hugging Face answered ${statusCode}`, details, cause })
  }

  interface Access {
    readonly accessToken: string
    readonly hubUrl: string
    readonly fetch: typeof fetch
  }
  const access = (signal: AbortSignal): Access => ({
    accessToken: secret,
    hubUrl: endpoint,
    fetch: (input, init) => fetch(input, { ...init, signal })
  })
  const call = <A>(work: (library: typeof hub, access: Access) => Promise<A>): Effect.Effect<A, CliError> =>
    Effect.tryPromise({ try: (signal) => work(library, access(signal)), catch: failed })
  return { library, call, access, failed }
})

/** @internal */
export const pushHf = (options: Options) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join, toFileUrl } = yield* Path.Path
    const parsed = yield* checkPath(options.path)
    const tinkerPath = TinkerPath.format(parsed)
    const { access, call, failed, library } = yield* hubOf
    const user = yield* call(({ whoAmI }, access) => whoAmI(access))

    const work = yield* fs.makeTempDirectoryScoped({ prefix: "tinker-push-" })
    const directory = join(work, "adapter")
    const weights = yield* withRest(
      Effect.gen(function* () {
        const bar = yield* progress.make(options.format, "Downloading", undefined, format.size)
        yield* CheckpointDownload.exportPeft(parsed, {
          directory,
          onProgress: ({ file, received, total }) => bar.at(received, total, file)
        })
        const rest = yield* RestClient.RestClient
        // what the card says of them is not worth a failure
        return yield* Effect.option(rest.getWeightsInfo(parsed))
      }).pipe(Effect.scoped)
    )

    const short = Option.match(weights, {
      onNone: () => "adapter",
      onSome: ({ base_model }) => base_model.split("/").pop()!
    })
    const named = Option.getOrElse(options.repo, () => nameOf(`tinker-${short}-${parsed.training_run_id}`))
    const repo = named.includes("/") ? named : `${user.name}/${named}`
    // a repository that is named after the run may hold several of its checkpoints
    const revision = Option.orElse(options.revision, () =>
      Option.isNone(options.repo) && !options.createPr
        ? Option.some(nameOf(`${parsed.kind}-${parsed.name}`))
        : Option.none<string>()
    )
    if (!options.noModelCard) {
      const text = card({ path: tinkerPath, repo, weights: Option.getOrUndefined(weights) })
      yield* fs.writeFileString(join(directory, "README.md"), text)
    }

    const allow = options.allowPattern.map(matches)
    const ignore = options.ignorePattern.map(matches)
    const files = (yield* fs.readDirectory(directory))
      .filter((name) => allow.length === 0 || allow.some((matches) => matches(name)))
      .filter((name) => !ignore.some((matches) => matches(name)))
      .sort()
    if (files.length === 0) {
      return yield* new CliError({
        title: "Nothing to upload",
        details: "The patterns leave no file of the checkpoint"
      })
    }

    yield* call(({ createRepo }, access) =>
      createRepo({ ...access, repo, visibility: options.public ? "public" : "private" }).catch((error: unknown) => {
        // it may be there
        if (!(error instanceof library.HubApiError) || error.statusCode !== 409) throw error
      })
    )
    const branch = Option.getOrUndefined(revision)
    const isThere = yield* call(({ repoExists }, access) =>
      branch === undefined ? Promise.resolve(true) : repoExists({ ...access, repo, revision: branch })
    )
    if (!isThere) yield* call(({ createBranch }, access) => createBranch({ ...access, repo, branch: branch! }))

    const readme = yield* call(async ({ downloadFile }, access) => {
      const file = await downloadFile({
        ...access,
        repo,
        path: "README.md",
        ...(branch === undefined ? {} : { revision: branch })
      })
      return file?.text()
    })
    const other = /tinker:\/\/[^\s`]+/.exec(readme ?? "")?.[0]
    if (other !== undefined && other !== tinkerPath) {
      return yield* new CliError({
        title: `${repo} holds another checkpoint`,
        details: `Its README names ${other}: give another --repo or --revision`
      })
    }

    const urls = yield* Effect.forEach(files, (name) => toFileUrl(join(directory, name)))
    const bar = yield* progress.make(options.format, "Uploading", 1, (share) => `${Math.round(share * 100)} %`)
    const committed = yield* Effect.gen(function* () {
      const { signal } = yield* Effect.acquireRelease(
        Effect.sync(() => new AbortController()),
        (controller) => Effect.sync(() => controller.abort())
      )
      const events = library.commitIter({
        ...access(signal),
        repo,
        title: Option.getOrElse(options.commitMessage, () => `Upload ${tinkerPath}`),
        operations: files.map((path, i) => ({ operation: "addOrUpdate", path, content: urls[i]! })),
        isPullRequest: options.createPr,
        ...(branch === undefined ? {} : { branch }),
        abortSignal: signal
      })
      for (;;) {
        const next = yield* Effect.tryPromise({ try: () => events.next(), catch: failed })
        if (next.done === true) return next.value
        const event = next.value
        if (event.event === "fileProgress") yield* bar.at(event.progress, 1, event.path)
      }
    }).pipe(Effect.scoped)

    const pullRequest = committed?.pullRequestUrl
    yield* output.print(options.format, {
      json: {
        checkpoint_path: options.path,
        repo_id: repo,
        ...(branch === undefined ? {} : { revision: branch }),
        public: options.public,
        ...(pullRequest === undefined ? {} : { pull_request_url: pullRequest })
      },
      table: {
        title: `Checkpoint Hub Upload: ${options.path}`,
        columns: ["Property", "Value"],
        rows: [
          ["Checkpoint Path", options.path],
          ["Repo ID", repo],
          ...(branch === undefined ? [] : [["Revision", branch]]),
          ["Public", format.bool(options.public)],
          ...(pullRequest === undefined ? [] : [["Pull Request", pullRequest]])
        ]
      }
    })
  }).pipe(Effect.scoped)
