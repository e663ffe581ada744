/**
 * Bundles for browsers what is meant to run there, with esbuild and with Vite, without externals and without stand-ins
 * for Node's modules. It fails when a bundler cannot resolve an import, or when an import of Node or undici is left.
 *
 * `node scripts/check-browser.mjs` bundles the sources; with `--dist` it bundles what `npm run types` or
 * `npm run build` has compiled.
 */
import { build as esbuild } from "esbuild"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { builtinModules } from "node:module"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { build as vite, defaultClientConditions } from "vite"

const root = fileURLToPath(new URL("..", import.meta.url))
const dist = process.argv.includes("--dist")
const sourceConditions = dist ? [] : ["effect-tinker-source"]

// each as an application imports it; `export *` keeps tree-shaking from hiding an import
const entries = {
  client: "@effect-tinker/client",
  embedded: "@effect-tinker/embedded",
  JaxEngine: "@effect-tinker/engine/JaxEngine"
}

const builtin = new Set(builtinModules.flatMap((name) => [name, `node:${name}`]))
const isForNode = (specifier) =>
  specifier.startsWith("node:") ||
  builtin.has(specifier) ||
  /^(undici|@effect\/platform-node|onnxruntime-node)(\/|$)/.test(specifier)

/** The modules of Node's that a bundle still imports, statically or not. */
const leftImports = (code) =>
  [...code.matchAll(/\b(?:from|import|require)\s*\(?\s*["']([^"'\n]+)["']/g)]
    .map(([, specifier]) => specifier)
    .filter(isForNode)

/** Fails at the first import of Node, rather than at everything below it. */
const rejectNodeInEsbuild = {
  name: "reject-node",
  setup: ({ onResolve }) => {
    onResolve({ filter: /.*/ }, ({ path }) => (isForNode(path) ? { errors: [{ text: `imports ${path}` }] } : undefined))
  }
}

const withEsbuild = async (entry) => {
  const bundled = await esbuild({
    entryPoints: [entry],
    absWorkingDir: root,
    bundle: true,
    write: false,
    outdir: join(root, "unused"),
    splitting: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    conditions: [...sourceConditions, "module"],
    minify: true,
    legalComments: "none",
    logLevel: "silent",
    plugins: [rejectNodeInEsbuild]
  }).catch((error) => {
    if (!Array.isArray(error.errors)) throw error
    throw new Error(
      error.errors
        .map(({ location, text }) => `${location === null ? "" : `${location.file}:${location.line} `}${text}`)
        .join("\n")
    )
  })
  return bundled.outputFiles.filter(({ path }) => path.endsWith(".js")).map(({ text }) => text)
}

/** Vite would put an empty module in the place of Node's, and only warn. */
const rejectNodeInVite = {
  name: "reject-node",
  enforce: "pre",
  resolveId(specifier, importer) {
    if (isForNode(specifier)) {
      throw new Error(`${importer === undefined ? "" : relative(root, importer)} imports ${specifier}`)
    }
    return null
  }
}

const withVite = async (entry, name) => {
  const built = await vite({
    root,
    configFile: false,
    logLevel: "silent",
    plugins: [rejectNodeInVite],
    resolve: { conditions: [...sourceConditions, ...defaultClientConditions] },
    worker: { format: "es", plugins: () => [rejectNodeInVite] },
    build: {
      write: false,
      target: "es2022",
      reportCompressedSize: false,
      modulePreload: false,
      lib: { entry, formats: ["es"], fileName: name },
      rollupOptions: {
        onwarn: (warning) => {
          if (warning.code === "UNRESOLVED_IMPORT") throw new Error(warning.message)
        }
      }
    }
  })
  return [built]
    .flat()
    .flatMap(({ output }) => output)
    .filter(({ type }) => type === "chunk")
    .map(({ code }) => code)
}

const scratch = mkdtempSync(join(root, "node_modules", ".check-browser-"))
let failures = 0
try {
  for (const [name, specifier] of Object.entries(entries)) {
    const entry = join(scratch, `${name}.mjs`)
    writeFileSync(entry, `export * from "${specifier}"\n`)
    for (const [bundler, bundle] of [
      ["esbuild", withEsbuild],
      ["Vite", withVite]
    ]) {
      const started = performance.now()
      try {
        const chunks = await bundle(entry, name)
        const left = [...new Set(chunks.flatMap(leftImports))]
        if (left.length > 0) throw new Error(`the bundle still imports ${left.join(", ")}`)
        const bytes = chunks.reduce((sum, code) => sum + gzipSync(code).length, 0)
        const seconds = ((performance.now() - started) / 1000).toFixed(1)
        console.log(`${specifier} with ${bundler}: ${(bytes / 1024).toFixed(1)} kB gzipped, ${seconds} s`)
      } catch (error) {
        failures++
        console.error(`${specifier} with ${bundler}: ${error.message}`)
      }
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
if (failures > 0) process.exitCode = 1
