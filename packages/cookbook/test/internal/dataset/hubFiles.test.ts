import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { choose } from "../../../src/internal/dataset/hubFiles.ts"

const files = (paths: ReadonlyArray<string>, split = "train", config?: string) =>
  Either.merge(choose(paths, { split, config }))

describe("choose", () => {
  it("finds the files of a split by the names in use", () => {
    const shards = [
      "data/test-00000-of-00001.parquet",
      "data/train-00000-of-00002.parquet",
      "data/train-00001-of-00002.parquet"
    ]
    assert.deepStrictEqual(files(shards), shards.slice(1))
    assert.deepStrictEqual(files(shards, "test"), shards.slice(0, 1))
    assert.deepStrictEqual(files(["dev.jsonl.gz", "train.jsonl.gz"], "validation"), ["dev.jsonl.gz"])
    assert.deepStrictEqual(files(["train_sft.jsonl", "test_sft.jsonl"]), ["train_sft.jsonl"])
    assert.deepStrictEqual(files(["harmless/train.jsonl.zst"]), ["harmless/train.jsonl.zst"])
    assert.deepStrictEqual(files(["train/a.jsonl", "train/b.jsonl"]), ["train/a.jsonl", "train/b.jsonl"])
  })

  it("prefers Parquet, and takes what names no split for training", () => {
    assert.deepStrictEqual(files(["train.jsonl", "train.parquet", "README.md"]), ["train.parquet"])
    assert.deepStrictEqual(files(["alpaca.json", "dataset_infos.json", ".cache/a.json"]), ["alpaca.json"])
    assert.deepStrictEqual(files(["conversations.jsonl", "test.jsonl"]), ["conversations.jsonl"])
    // a word within another is no name of a split
    assert.deepStrictEqual(files(["strained.jsonl", "train.jsonl"]), ["train.jsonl"])
  })

  it("asks for the configuration where there are several", () => {
    const paths = ["en/train.parquet", "de/train.parquet", "de/test.parquet"]
    assert.strictEqual(files(paths), "has several configurations: give one of en, de as config")
    assert.deepStrictEqual(files(paths, "train", "de"), ["de/train.parquet"])
    assert.match(String(files(paths, "train", "fr")), /^has no configuration fr: there is en, de$/)
  })

  it("says what there is instead", () => {
    assert.strictEqual(files(["README.md", "a.zip"]), "has no Parquet, JSON Lines or text files, but README.md, a.zip")
    assert.strictEqual(files(["train.jsonl"], "test"), "has no split test: there is train.jsonl")
    assert.strictEqual(files(["a.b.jsonl"], "a+b"), "has no split a+b: there is a.b.jsonl")
  })
})
