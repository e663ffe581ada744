/**
 * What `npm install` of this repository does last. It keeps a clone small, and never fails an install: what it cannot do it
 * says, and whoever needs it says so again.
 *
 * - onnxruntime-node comes with the binaries of all platforms, 288 MB. Those of others are removed, 243 MB.
 * - Its install script looks for CUDA, which this project does not use, outside of the registry, and npm drops the package
 *   when that fails. It is put back without the script. npm 11 does not run it in the first place: see `allowScripts` in
 *   `package.json`.
 * - One vocabulary, so that programs may be tried on it at once. The tests fetch the others.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { provideOrSay } from "./vocabularies.mjs"

const root = fileURLToPath(new URL("..", import.meta.url))
const onnxruntime = join(root, "node_modules", "onnxruntime-node")

const engine = JSON.parse(readFileSync(join(root, "packages", "engine", "package.json"), "utf8"))
const version = engine.optionalDependencies["onnxruntime-node"]

/** Puts onnxruntime-node back without its install script, and so without what only the script needs. */
const restore = () => {
  const scratch = mkdtempSync(join(root, "node_modules", ".onnxruntime-"))
  try {
    const shell = process.platform === "win32"
    const quiet = { cwd: scratch, shell, stdio: ["ignore", "pipe", "pipe"] }
    for (const spec of [`onnxruntime-node@${version}`, `onnxruntime-common@${version}`]) {
      const name = spec.split("@")[0]
      const place = join(root, "node_modules", name)
      if (existsSync(place)) continue
      execFileSync("npm", ["pack", spec, "--silent", "--ignore-scripts"], quiet)
      mkdirSync(join(scratch, name))
      execFileSync("tar", ["-xzf", `${name}-${version}.tgz`, "-C", name, "--strip-components=1"], quiet)
      renameSync(join(scratch, name), place)
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** The folders below a folder, or none if it does not exist. */
const foldersIn = (directory) => (existsSync(directory) ? readdirSync(directory) : [])

const keepOwnBinaries = () => {
  for (const api of foldersIn(join(onnxruntime, "bin"))) {
    for (const platform of foldersIn(join(onnxruntime, "bin", api))) {
      for (const arch of foldersIn(join(onnxruntime, "bin", api, platform))) {
        if (platform === process.platform && arch === process.arch) continue
        rmSync(join(onnxruntime, "bin", api, platform, arch), { recursive: true, force: true })
      }
    }
  }
}

try {
  if (!existsSync(onnxruntime)) restore()
  keepOwnBinaries()
} catch (error) {
  console.warn(`onnxruntime-node is missing, so the engine will run in WebAssembly: ${error.message}`)
}
provideOrSay(["qwen3"])
