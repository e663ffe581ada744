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
import * as card from "../../huggingFace/card.ts"
import { confirmPublic } from "../../huggingFace/confirmPublic.ts"
import * as hub from "../../huggingFace/hub.ts"
import * as names from "../../huggingFace/names.ts"
import * as patterns from "../../huggingFace/patterns.ts"
import * as repository from "../../huggingFace/repository.ts"
import * as uploads from "../../huggingFace/upload.ts"
import * as workDirectory from "../../huggingFace/workDirectory.ts"
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

/** The source and the destination of a push. */
interface Plan {
  readonly options: Options
  readonly checkpoint: TinkerPath.TinkerPath
  readonly destination: repository.Destination
  /** The user or the organization of the token, and the organizations of the user. */
  readonly owners: ReadonlyArray<string>
  /** undefined if the README.md is not changed. */
  readonly card: card.Card | undefined
  readonly allowed: ReadonlyArray<patterns.Matcher>
  readonly ignored: ReadonlyArray<patterns.Matcher>
}

const readmeFile = "README.md"

/** Checks the values of the options, before anything is sent. */
const parseOptions = (options: Options) =>
  Effect.gen(function* () {
    const checkpoint = yield* parsePath(options.path)
    if (Option.isSome(options.repo)) yield* names.parseRepo(options.repo.value)
    if (Option.isSome(options.revision)) yield* names.parseBranch(options.revision.value)
    const allowed = yield* Effect.forEach(options.allowPattern, (one) => patterns.compile("allow-pattern", one))
    const ignored = yield* Effect.forEach(options.ignorePattern, (one) => patterns.compile("ignore-pattern", one))
    return { checkpoint, allowed, ignored }
  })

/** Chooses the repository and the branch, from the options or the names of the checkpoint. */
const destinationOf = (
  options: Options,
  account: string,
  checkpoint: TinkerPath.TinkerPath,
  weights: Option.Option<Weights.WeightsInfoResponse>
): repository.Destination => {
  const model = Option.match(weights, {
    onNone: () => "adapter",
    onSome: ({ base_model }) => base_model.split("/").pop()!
  })
  const name = Option.getOrElse(options.repo, () => names.nameOf(`tinker-${model}-${checkpoint.training_run_id}`))
  // a repository that is named after the run may hold several of its checkpoints, each on its own branch
  const branch = Option.orElse(options.revision, () =>
    Option.isNone(options.repo) && !options.createPr
      ? Option.some(names.nameOf(`${checkpoint.kind}-${checkpoint.name}`))
      : Option.none<string>()
  )
  return { repo: name.includes("/") ? name : `${account}/${name}`, branch: Option.getOrUndefined(branch) }
}

/** Looks up the owner of the token, and the facts about the weights for the card. */
const makePlan = (
  client: hub.Client,
  options: Options,
  parsed: Effect.Effect.Success<ReturnType<typeof parseOptions>>
) =>
  Effect.gen(function* () {
    const { checkpoint } = parsed
    // a user, an organization or an application: the name is where new repositories go
    const account = yield* hub.call(client, ({ whoAmI }, access) => whoAmI(access))
    const weights = yield* withRest(
      Effect.flatMap(RestClient.RestClient, (rest) => Effect.option(rest.getWeightsInfo(checkpoint)))
    )
    const destination = destinationOf(options, account.name, checkpoint, weights)
    const plan: Plan = {
      ...parsed,
      options,
      destination,
      owners: [account.name, ...(account.type === "user" ? (account.orgs ?? []).map(({ name }) => name) : [])],
      card: options.noModelCard
        ? undefined
        : { ...destination, path: TinkerPath.format(checkpoint), weights: Option.getOrUndefined(weights) }
    }
    return plan
  })

/** Downloads the adapter into a directory. */
const exportAdapter = ({ checkpoint, options }: Plan, directory: string) =>
  withRest(
    Effect.gen(function* () {
      const bar = yield* progress.make(options.format, "Downloading", undefined, format.size)
      yield* CheckpointDownload.exportPeft(checkpoint, {
        directory,
        onProgress: ({ file, received, total }) => bar.update(received, total, file)
      })
    }).pipe(Effect.scoped)
  )

/** The README.md at a commit of the destination. Fails if it was written for another checkpoint. */
const readmeAt = (client: hub.Client, { checkpoint, destination }: Plan, commit: string | undefined) =>
  Effect.gen(function* () {
    const readme = yield* repository.readme(client, destination.repo, commit)
    const other = card.otherCheckpoint(readme, TinkerPath.format(checkpoint))
    if (other === undefined) return readme
    return yield* new CliError({
      title: `${destination.repo} holds another checkpoint`,
      details: `Its README names ${other}: give another --repo or --revision`
    })
  })

/** Whether the default branch holds another checkpoint, so that a new branch must not start from it. */
const isOccupied = (client: hub.Client, plan: Plan) =>
  Effect.map(
    repository.readme(client, plan.destination.repo, undefined),
    (readme) => card.otherCheckpoint(readme, TinkerPath.format(plan.checkpoint)) !== undefined
  )

/** Checks the destination, without changing it. Succeeds with how to create what is missing. */
const checkDestination = (client: hub.Client, plan: Plan) =>
  Effect.gen(function* () {
    const { destination, options } = plan
    const state = yield* repository.lookUp(client, destination)
    if (state === undefined) return { isPublic: options.public, isEmpty: false }
    yield* confirmPublic(destination.repo, state, options.public)
    if (state.head === undefined && destination.branch !== undefined) {
      return { isPublic: state.isPublic, isEmpty: yield* isOccupied(client, plan) }
    }
    yield* readmeAt(client, plan, state.head)
    return { isPublic: state.isPublic, isEmpty: false }
  })

/** Writes the model card for the newest commit at the destination. Succeeds with that commit. */
const writeCard = (client: hub.Client, plan: Plan, directory: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const newest = yield* repository.lookUp(client, plan.destination)
    const readme = yield* readmeAt(client, plan, newest?.head)
    if (plan.card !== undefined) yield* fs.writeFileString(join(directory, readmeFile), card.write(readme, plan.card))
    return newest?.head
  })

const printResult = (plan: Plan, { isPublic }: repository.State, pullRequest: string | undefined) => {
  const { branch, repo } = plan.destination
  return output.print(plan.options.format, {
    json: {
      checkpoint_path: plan.options.path,
      repo_id: repo,
      ...(branch === undefined ? {} : { revision: branch }),
      public: isPublic,
      ...(pullRequest === undefined ? {} : { pull_request_url: pullRequest })
    },
    table: {
      title: `Checkpoint Hub Upload: ${plan.options.path}`,
      columns: ["Property", "Value"],
      rows: [
        ["Checkpoint Path", plan.options.path],
        ["Repo ID", repo],
        ...(branch === undefined ? [] : [["Revision", branch]]),
        ["Public", format.bool(isPublic)],
        ...(pullRequest === undefined ? [] : [["Pull Request", pullRequest]])
      ]
    }
  })
}

/** The files to upload; README.md is written later, on the basis of the one at the destination. */
const selectFiles = ({ allowed, card, ignored }: Plan, directory: string) =>
  Effect.gen(function* () {
    const found = yield* uploads.regularFiles(directory)
    const files = patterns.select([...found, ...(card === undefined ? [] : [readmeFile])], allowed, ignored)
    if (files.length > 0) return files
    return yield* new CliError({ title: "Nothing to upload", details: "The patterns exclude all files" })
  })

/** @internal */
export const pushHf = (options: Options) =>
  Effect.gen(function* () {
    const { join } = yield* Path.Path
    const parsed = yield* parseOptions(options)
    const client = yield* hub.make
    const plan = yield* makePlan(client, options, parsed)
    const missing = yield* checkDestination(client, plan)

    const directory = join(yield* workDirectory.make, "adapter")
    yield* exportAdapter(plan, directory)
    const files = yield* selectFiles(plan, directory)

    const state = yield* repository.ensure(client, plan.destination, { ...missing, owners: plan.owners })
    // someone may have created it meanwhile, or the organization may set the visibility
    if (!missing.isPublic) yield* confirmPublic(plan.destination.repo, state, options.public)
    const title = Option.getOrElse(options.commitMessage, () => `Upload ${TinkerPath.format(parsed.checkpoint)}`)
    const upload = { directory, files, title, createPr: options.createPr, format: options.format }
    const prepare = writeCard(client, plan, directory)
    const pullRequest = yield* uploads.upload(client, plan.destination, upload, prepare)
    yield* printResult(plan, state, pullRequest)
  }).pipe(Effect.scoped)
