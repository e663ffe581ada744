/** Handler of `tinker checkpoint push-hf`: exports a PEFT adapter, and uploads it to the Hugging Face hub. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as Weights from "@effect-tinker/api/Weights"
import * as CheckpointDownload from "@effect-tinker/client/CheckpointDownload"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { parsePath } from "../../checkpoints/path.ts"
import type { Global } from "../../definition/global.ts"
import { CliError } from "../../errors/cliError.ts"
import { card, checkpointOf } from "../../huggingFace/card.ts"
import * as hub from "../../huggingFace/hub.ts"
import * as patterns from "../../huggingFace/patterns.ts"
import { withRest } from "../../service/rest.ts"
import * as format from "../../terminal/format.ts"
import * as output from "../../terminal/output.ts"
import * as progress from "../../terminal/progress.ts"

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

/** A repository, and the branch in it; the default branch if undefined. */
interface Destination {
  readonly repo: string
  readonly branch: string | undefined
}

/** Downloads the adapter into a directory. Succeeds with what the service knows about the weights, if it responds. */
const exportAdapter = (checkpoint: TinkerPath.TinkerPath, directory: string, form: output.Format) =>
  withRest(
    Effect.gen(function* () {
      const bar = yield* progress.make(form, "Downloading", undefined, format.size)
      yield* CheckpointDownload.exportPeft(checkpoint, {
        directory,
        onProgress: ({ file, received, total }) => bar.update(received, total, file)
      })
      const rest = yield* RestClient.RestClient
      // only the model card needs it
      return yield* Effect.option(rest.getWeightsInfo(checkpoint))
    }).pipe(Effect.scoped)
  )

/** Chooses the repository and the branch, from the options or the names of the checkpoint. */
const destinationOf = (
  options: Options,
  user: string,
  checkpoint: TinkerPath.TinkerPath,
  weights: Option.Option<Weights.WeightsInfoResponse>
): Destination => {
  const model = Option.match(weights, {
    onNone: () => "adapter",
    onSome: ({ base_model }) => base_model.split("/").pop()!
  })
  const name = Option.getOrElse(options.repo, () => patterns.nameOf(`tinker-${model}-${checkpoint.training_run_id}`))
  // a repository that is named after the run may hold several of its checkpoints, each on its own branch
  const branch = Option.orElse(options.revision, () =>
    Option.isNone(options.repo) && !options.createPr
      ? Option.some(patterns.nameOf(`${checkpoint.kind}-${checkpoint.name}`))
      : Option.none<string>()
  )
  return { repo: name.includes("/") ? name : `${user}/${name}`, branch: Option.getOrUndefined(branch) }
}

/** Creates the repository and the branch where they do not exist. */
const createDestination = (client: hub.Client, { branch, repo }: Destination, isPublic: boolean) =>
  Effect.gen(function* () {
    yield* hub.call(client, ({ createRepo, HubApiError }, access) =>
      createRepo({ ...access, repo, visibility: isPublic ? "public" : "private" }).catch((error: unknown) => {
        // 409: it exists
        if (!(error instanceof HubApiError) || error.statusCode !== 409) throw error
      })
    )
    if (branch === undefined) return
    const exists = yield* hub.call(client, ({ repoExists }, access) =>
      repoExists({ ...access, repo, revision: branch })
    )
    if (!exists) yield* hub.call(client, ({ createBranch }, access) => createBranch({ ...access, repo, branch }))
  })

/** Fails if the README at the destination names another checkpoint. */
const checkDestination = (client: hub.Client, { branch, repo }: Destination, tinkerPath: string) =>
  Effect.gen(function* () {
    const readme = yield* hub.call(client, async ({ downloadFile }, access) => {
      const revision = branch === undefined ? {} : { revision: branch }
      const file = await downloadFile({ ...access, repo, path: "README.md", ...revision })
      return file?.text()
    })
    const other = checkpointOf(readme)
    if (other !== undefined && other !== tinkerPath) {
      return yield* new CliError({
        title: `${repo} holds another checkpoint`,
        details: `Its README names ${other}: give another --repo or --revision`
      })
    }
  })

/** Commits the files. Succeeds with the URL of the pull request, if one was opened. */
const upload = (
  client: hub.Client,
  { branch, repo }: Destination,
  options: {
    readonly directory: string
    readonly files: ReadonlyArray<string>
    readonly title: string
    readonly createPr: boolean
    readonly format: output.Format
  }
) =>
  Effect.gen(function* () {
    const { join, toFileUrl } = yield* Path.Path
    const urls = yield* Effect.forEach(options.files, (name) => toFileUrl(join(options.directory, name)))
    const bar = yield* progress.make(options.format, "Uploading", 1, (share) => `${Math.round(share * 100)} %`)
    const committed = yield* hub.drain(
      client,
      ({ commitIter }, access, abortSignal) =>
        commitIter({
          ...access,
          repo,
          title: options.title,
          operations: options.files.map((path, i) => ({ operation: "addOrUpdate", path, content: urls[i]! })),
          isPullRequest: options.createPr,
          ...(branch === undefined ? {} : { branch }),
          abortSignal
        }),
      (event) => (event.event === "fileProgress" ? bar.update(event.progress, 1, event.path) : Effect.void)
    )
    return committed?.pullRequestUrl
  }).pipe(Effect.scoped)

const printResult = (options: Options, { branch, repo }: Destination, pullRequest: string | undefined) =>
  output.print(options.format, {
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

/** @internal */
export const pushHf = (options: Options) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const checkpoint = yield* parsePath(options.path)
    const tinkerPath = TinkerPath.format(checkpoint)
    const client = yield* hub.make
    const user = yield* hub.call(client, ({ whoAmI }, access) => whoAmI(access))

    const directory = join(yield* fs.makeTempDirectoryScoped({ prefix: "tinker-push-" }), "adapter")
    const weights = yield* exportAdapter(checkpoint, directory, options.format)
    const destination = destinationOf(options, user.name, checkpoint, weights)
    if (!options.noModelCard) {
      const text = card({ path: tinkerPath, repo: destination.repo, weights: Option.getOrUndefined(weights) })
      yield* fs.writeFileString(join(directory, "README.md"), text)
    }
    const files = patterns.select(yield* fs.readDirectory(directory), options.allowPattern, options.ignorePattern)
    if (files.length === 0) {
      return yield* new CliError({ title: "Nothing to upload", details: "The patterns exclude all files" })
    }

    yield* createDestination(client, destination, options.public)
    yield* checkDestination(client, destination, tinkerPath)
    const title = Option.getOrElse(options.commitMessage, () => `Upload ${tinkerPath}`)
    const { createPr, format } = options
    const pullRequest = yield* upload(client, destination, { directory, files, title, createPr, format })
    yield* printResult(options, destination, pullRequest)
  }).pipe(Effect.scoped)
