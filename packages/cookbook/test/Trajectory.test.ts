import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TensorData from "@effect-tinker/api/TensorData"
import { assert, describe, it } from "@effect/vitest"
import * as Trajectory from "../src/Trajectory.ts"

const turn = (
  given: ReadonlyArray<number>,
  sampled: ReadonlyArray<number>,
  options: Partial<Trajectory.Turn> = {}
) => ({
  observation: ModelInput.fromTokens(given),
  action: { tokens: Int32Array.from(sampled), logprobs: Float32Array.from(sampled, (t) => -t), stop_reason: "stop" },
  reward: 0,
  ...options
})

const numbers = ({ datum, mask }: Trajectory.Example) => ({
  input: Array.from(ModelInput.toTokens(datum.model_input)),
  targets: TensorData.toNumbers(datum.loss_fn_inputs.target_tokens),
  advantages: TensorData.toNumbers(datum.loss_fn_inputs.advantages),
  logprobs: TensorData.toNumbers(datum.loss_fn_inputs.logprobs),
  mask: Array.from(mask)
})

describe("Trajectory", () => {
  it("makes one datum of turns that extend each other", () => {
    const turns = [turn([1, 2], [3]), turn([1, 2, 3, 4], [5, 6])]
    assert.deepStrictEqual(Trajectory.toExamples({ turns }, 2).map(numbers), [
      {
        input: [1, 2, 3, 4, 5],
        targets: [2, 3, 4, 5, 6],
        advantages: [0, 2, 0, 2, 2],
        logprobs: [0, -3, 0, -5, -6],
        mask: [0, 1, 0, 1, 1]
      }
    ])
  })

  it("begins a new datum where the history was rewritten", () => {
    const turns = [turn([1, 2], [3]), turn([1, 9, 3], [4])]
    assert.deepStrictEqual(
      Trajectory.toExamples({ turns }, [1, -1]).map((example) => numbers(example).advantages),
      [
        [0, 1],
        [0, 0, -1]
      ]
    )
  })

  it("compares inputs with images by their chunks", () => {
    const image = (byte: number) => ModelInput.image({ data: Uint8Array.of(byte), format: "png", expected_tokens: 2 })
    const first = { ...turn([], [3]), observation: ModelInput.make(ModelInput.text([1]), image(1)) }
    const second = (byte: number) => ({
      ...turn([], [5]),
      observation: ModelInput.make(ModelInput.text([1]), image(byte), ModelInput.text([3]), ModelInput.text([4]))
    })
    assert.lengthOf(Trajectory.toExamples({ turns: [first, second(1)] }, 1), 1)
    assert.lengthOf(Trajectory.toExamples({ turns: [first, second(2)] }, 1), 2)
  })

  it("leaves masked turns out, keeps advantages by token, and drops turns without tokens", () => {
    const turns = [turn([1], [2, 3], { masked: true }), turn([1, 2, 3], []), turn([1, 2, 3, 4], [5, 6])]
    const [only, ...others] = Trajectory.toExamples({ turns }, [7, 7, [0.5, -0.5]]).map(numbers)
    assert.deepStrictEqual(others, [])
    assert.deepStrictEqual(only!.advantages, [0, 0, 0, 0.5, -0.5])
    assert.deepStrictEqual(only!.mask, [0, 0, 0, 1, 1])
    // logprobs stay: the ratio of a masked token is that of its tokens
    assert.deepStrictEqual(only!.logprobs, [-2, -3, 0, -5, -6])
    assert.throws(() => Trajectory.toExamples({ turns }, [1]), "advantages has the length 1, for 3 turns")
  })

  it("adds the rewards of turns and of the episode", () => {
    const trajectory: Trajectory.Trajectory = {
      turns: [turn([1], [2], { reward: 0.5 }), turn([1], [2, 3], { reward: -0.25 })],
      stop: "completed",
      reward: 1
    }
    assert.deepStrictEqual(Trajectory.rewards({ trajectories: [trajectory] }), [1.25])
    assert.strictEqual(Trajectory.sampledTokens(trajectory), 3)
  })
})
