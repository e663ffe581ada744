import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as names from "../../../src/internal/huggingFace/names.ts"

describe("names of the hub", () => {
  it("are made valid for repositories and branches", () => {
    assert.strictEqual(names.nameOf("tinker-Qwen3 8B-run:train:0."), "tinker-Qwen3-8B-run-train-0")
  })

  it("accept repositories with and without an owner, and reject what the hub would", () => {
    for (const good of ["adapter", "ada/adapter", "team-1/my_adapter.v2", "a/b"]) {
      assert.isTrue(Either.isRight(names.parseRepo(good)), good)
    }
    for (const bad of ["", "a/b/c", "a b/c", "a/", "/b", "a/b--c", "a/..", "https://hub/a/b", "a/b?x", "a/b.git"]) {
      assert.isTrue(Either.isLeft(names.parseRepo(bad)), bad)
    }
  })

  it("accept branches that need encoding in a URL, and reject what git would", () => {
    for (const good of ["main", "feature/x+y", "v1.0", "refs/pr/3", "100%", "größe#2"]) {
      assert.isTrue(Either.isRight(names.parseBranch(good)), good)
    }
    for (const bad of ["", "a b", "a..b", "/a", "a/", "-a", "a:b", "a~1", "a.lock", "@", "a@{1}", "a\nb"]) {
      assert.isTrue(Either.isLeft(names.parseBranch(bad)), bad)
    }
  })
})
