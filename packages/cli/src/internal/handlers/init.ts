/** Handler of `tinker init`: copies the template of a project, and writes its manifest with the versions that fit. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { createRequire } from "node:module"
import type { Global } from "../definition/global.ts"
import { CliError } from "../errors/cliError.ts"
import { pinned, projectName, tarballsOf } from "../init/manifest.ts"
import * as output from "../terminal/output.ts"

interface Options extends Global {
  readonly directory: string
  readonly packages: Option.Option<string>
}

/** Files of the template by their names in a project: npm would leave out a .gitignore. */
const renamed: { readonly [name: string]: string } = { gitignore: ".gitignore" }

const cannotWrite = (cause: unknown) =>
  new CliError({
    title: "The project cannot be made",
    details: cause instanceof Error ? cause.message : String(cause),
    cause
  })

/** The directory of this package, which has the template and the versions; the same from sources and bundled. */
const findPackage = Effect.map(Path.Path, (path) =>
  path.dirname(createRequire(import.meta.url).resolve("@effect-tinker/cli/package.json"))
)

const readJson = (file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => Effect.map(fs.readFileString(file), (text) => JSON.parse(text)))

/** A project is only made where there is nothing, so that nothing is overwritten. */
const checkEmpty = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const found = (yield* fs.exists(directory)) ? yield* fs.readDirectory(directory) : []
  const files = found.filter((name) => name !== ".git")
  if (files.length === 0) return
  return yield* new CliError({
    title: "The project was not made",
    details: `${directory} is not empty (it has ${files[0]}): give the name of a new directory, as in tinker init my-model`
  })
})

/** The tarballs to install from, by the names of their packages. */
const findTarballs = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const tarballs = tarballsOf(yield* fs.readDirectory(directory))
  if (tarballs.size > 0) return new Map([...tarballs].map(([name, file]) => [name, path.resolve(directory, file)]))
  return yield* new CliError({
    title: "The project was not made",
    details: `${directory} has no tarballs effect-tinker-….tgz, as npm pack writes them`
  })
})

const copyTemplate = Effect.fnUntraced(function* (template: string, directory: string, name: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const files: Array<string> = []
  for (const file of yield* fs.readDirectory(template, { recursive: true })) {
    const source = path.join(template, file)
    if ((yield* fs.stat(source)).type === "Directory" || file === "package.json") continue
    const target = path.join(directory, renamed[file] ?? file)
    yield* fs.makeDirectory(path.dirname(target), { recursive: true })
    const text = yield* fs.readFileString(source)
    yield* fs.writeFileString(target, file === "README.md" ? text.replace("# my-model", `# ${name}`) : text)
    files.push(path.relative(directory, target))
  }
  return files
})

/** @internal */
export const init = Effect.fnUntraced(function* (options: Options) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directory = path.resolve(options.directory)
  yield* Effect.mapError(checkEmpty(directory), (error) => (error instanceof CliError ? error : cannotWrite(error)))
  const root = yield* findPackage
  const template = path.join(root, "template")
  const name = projectName(path.basename(directory))
  const files = yield* Effect.gen(function* () {
    const tarballs = Option.isSome(options.packages) ? yield* findTarballs(options.packages.value) : new Map()
    const versions = pinned(yield* readJson(path.join(root, "package.json")), tarballs)
    const manifest = { ...(yield* readJson(path.join(template, "package.json"))), name }
    manifest.dependencies = versions.dependencies
    manifest.devDependencies = { ...versions.devDependencies, ...manifest.devDependencies }
    yield* fs.makeDirectory(directory, { recursive: true })
    yield* fs.writeFileString(path.join(directory, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`)
    return ["package.json", ...(yield* copyTemplate(template, directory, name))]
  }).pipe(Effect.mapError((error) => (error instanceof CliError ? error : cannotWrite(error))))
  const enter = directory === path.resolve(".") ? [] : [`cd ${options.directory}`]
  yield* output.text(options.format, {
    json: { directory, files: files.toSorted() },
    text: `${directory} has a project that trains. Next:\n\n${[...enter, "npm install", "npm start", "npm test"]
      .map((line) => `  ${line}`)
      .join("\n")}\n`
  })
})
