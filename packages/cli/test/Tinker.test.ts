import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { run } from "./utils/tinker.ts"

describe("tinker", () => {
  it.live("prints its version", () =>
    Effect.map(run(["version"]), (result) =>
      assert.deepStrictEqual(result, { code: 0, stdout: "tinker 0.1.0\n", stderr: "" })
    )
  )

  it.live("takes --format before or after the command", () =>
    Effect.gen(function* () {
      for (const args of [
        ["-f", "json", "version"],
        ["version", "--format", "json"]
      ]) {
        const { code, stdout } = yield* run(args)
        assert.strictEqual(code, 0)
        assert.deepStrictEqual(JSON.parse(stdout), { version: "0.1.0" })
      }
    })
  )

  it.live("prints help as plain text without a terminal, at any width", () =>
    Effect.gen(function* () {
      const wide = yield* run(["--help"])
      assert.strictEqual(wide.code, 0)
      assert.include(wide.stdout, "COMMANDS")
      assert.notInclude(wide.stdout, "\u001b")
      const lines = wide.stdout.split("\n")
      assert.isAtMost(Math.max(...lines.map((line) => line.length)), 80)
      for (const name of ["train", "checkpoint push-hf", "billing checkpoint-storage"]) {
        assert.strictEqual(lines.filter((line) => new RegExp(`^  ${name} +[A-Z]\\S* \\S`).test(line)).length, 1, name)
      }
      assert.notInclude(wide.stdout, "--learning-rate")
      const narrow = yield* run(["-h"], { env: { COLUMNS: "40" } })
      assert.strictEqual(narrow.code, 0)
      assert.isAtMost(Math.max(...narrow.stdout.split("\n").map((line) => line.length)), 40)
      assert.deepStrictEqual(narrow.stdout.match(/\S+/g), wide.stdout.match(/\S+/g))
    })
  )

  for (const [name, args, message] of [
    ["a command that does not exist", ["nope"], /no command 'tinker nope': there are .*version/],
    ["a mistyped option", ["train", "--rnak", "4", "x.jsonl"], /no option --rnak: did you mean --rank\?/],
    ["an option without its value", ["train", "x.jsonl", "--rank"], /--rank needs a value/],
    [
      "an option with a value of the wrong type",
      ["train", "x.jsonl", "--rank", "abc"],
      /--rank is 'abc': give an integer/
    ],
    ["a number of the wrong type", ["sample", "x", "--top-p=y"], /--top-p is 'y': give a number/],
    ["a temperature below 0", ["sample", "x", "--temperature", "-1"], /--temperature is -1: give 0 or more/],
    ["an option that does not exist", ["version", "--foo"], /unknown argument: '--foo'/],
    [
      "a choice that does not exist",
      ["-f", "json", "train", "x", "--too-long=never"],
      /--too-long is 'never': give one of fail, truncate, skip/
    ],
    ["a format that does not exist", ["-f", "xml", "version"], /-f is 'xml': give one of table, json/],
    ["an extra argument", ["version", "extra"], /unknown argument: 'extra'/],
    ["an API key that is empty", ["serve", "--key", ""], /--key: it is empty/],
    [
      "a pattern that is empty",
      ["checkpoint", "push-hf", "tinker://a/weights/b", "--allow-pattern="],
      /--allow-pattern/
    ]
  ] as const) {
    it.live(`rejects ${name} in one line, with exit code 2`, () =>
      Effect.map(run(args), ({ code, stderr, stdout }) => {
        assert.strictEqual(code, 2)
        assert.strictEqual(stdout, "")
        assert.match(stderr, message)
        assert.match(stderr, /^Error: [^\n]+\n$/)
      })
    )
  }

  for (const shell of ["bash", "zsh", "fish"] as const) {
    it.live(`prints a completion script for ${shell}`, () =>
      Effect.map(run(["--completions", shell]), ({ code, stdout }) => {
        assert.strictEqual(code, 0)
        assert.include(stdout, "version")
        assert.include(stdout, "format")
      })
    )
  }
})
