import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as TestClock from "effect/TestClock"
import * as Tokenizer from "../../src/Tokenizer.ts"
import { cases, chats, constructs, digest, renderings, templates } from "../utils/templates.ts"

const tokenizer = {
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: { type: "WhitespaceSplit" },
  post_processor: null,
  decoder: null,
  model: { type: "WordLevel", vocab: { unknown: 0 }, unk_token: "unknown" }
}

const load = Tokenizer.make({ tokenizer, config: chats.special })

const setTime = TestClock.setTime(new Date(chats.now).getTime())

/** Constructs that jinja2 renders and that are rejected here. */
const refused: { readonly [template: string]: string } = {
  "[{{ d|attr('keys') }}]": "rejected the messages: uses the text of a callable, which is not supported",
  "[{{ joiner }}]": "rejected the messages: uses the text of a callable, which is not supported",
  "[{{ 'x'.__class__ }}]": "rejected the messages: uses the attribute __class__, which is not supported",
  "[{{ d.__class__ }}]": "rejected the messages: uses the attribute __class__, which is not supported",
  "{% block a %}x{% endblock %}": "cannot be parsed: uses the tag block in line 1, which is not supported",
  "{% for x in xs %}{{ self }}{% endfor %}": "cannot be parsed: uses the name self, which is not supported",
  "{% print n, s %}": "cannot be parsed: uses the tag print in line 1, which is not supported",
  "{{ d.items }}": "rejected the messages: uses the text of a callable, which is not supported",
  "{{ namespace(a=1) }}": "rejected the messages: uses the text of a namespace, which is not supported",
  "{{ xs|map('string') }}": "rejected the messages: uses the text of a iter, which is not supported"
}

describe("chat templates", () => {
  it("are enough conversations and templates to be held to", () => {
    assert.isAtLeast(Object.values(renderings).flat().length, 2000)
    assert.sameMembers(
      Object.keys(templates).filter((name) => renderings[name] === undefined),
      []
    )
  })

  it.effect.each(Object.keys(renderings))("render every conversation as the reference does: %s", (name) =>
    Effect.gen(function* () {
      yield* setTime
      const { renderChat } = yield* load
      const differing: Array<string> = []
      const rejected: Array<string> = []
      for (const [i, { messages, name: chat, options }] of cases.entries()) {
        const expected = renderings[name]![i]
        const actual = yield* Effect.either(renderChat(messages, { ...options, template: templates[name]! }))
        if (Either.isRight(actual)) {
          if (digest(actual.right) !== expected) differing.push(`${i} ${chat}`)
        } else if (expected !== null) {
          rejected.push(`${chat}: ${actual.left.message}`)
        }
      }
      assert.deepStrictEqual(differing, [])
      assert.deepStrictEqual(rejected, [], "rejected, although the reference renders it")
    })
  )

  it.effect("compute what jinja2 computes, or say why not", () =>
    Effect.gen(function* () {
      yield* setTime
      const { applyChatTemplate } = yield* load
      const differing: Array<unknown> = []
      const rejected: Record<string, string> = {}
      for (const [template, expected] of constructs.templates) {
        const variables = constructs.variables
        const actual = yield* Effect.either(
          applyChatTemplate([{ role: "user", content: "x" }], { template, variables })
        )
        if (Either.isRight(actual)) {
          if (actual.right !== expected) differing.push([template, actual.right, expected])
        } else if (expected !== null) rejected[template] = actual.left.message
      }
      assert.deepStrictEqual(differing, [])
      const reasons = Object.entries(refused).map(([template, reason]) => [template, `the chat template ${reason}`])
      assert.deepStrictEqual(rejected, Object.fromEntries(reasons))
    })
  )
})
