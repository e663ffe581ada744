/** Samples the episodes of groups. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { EnvGroup } from "../environments/model.ts"
import type { Options } from "./options.ts"
import type { Collected, Index, Policy, Run } from "./state.ts"
import { seeded } from "./step.ts"
import { partsOf } from "./submit.ts"

/** The groups of a step. @internal */
export const groupsAt = <E, R>(options: Pick<Options<E, R>, "groups" | "seed">, step: number) =>
  options.groups.at(step).pipe(seeded(options, "groups", step), Effect.withSpan("get_groups"))

/** The episodes of a group, by some weights. @internal */
export const collect = <E, R>(
  { options, part, rollouts }: Run<E, R>,
  policy: Policy,
  group: EnvGroup<E, R>,
  index: Index
) =>
  rollouts
    .group(group, {
      part,
      policy,
      options: options.rollouts ?? {},
      fingerprint: options.groups.fingerprint,
      place: { run: options.seed ?? 0, step: index.step, group: index.group }
    })
    .pipe(Effect.map((episodes): Collected => ({ ...index, version: policy.version, episodes })))

/**
 * Begins to sample all groups of a step, and returns the effects that wait for contiguous parts of them. The first group
 * that fails ends the others.
 *
 * @internal
 */
export const collectStep = <E, R>(run: Run<E, R>, groups: ReadonlyArray<EnvGroup<E, R>>, parts: number) =>
  Effect.gen(function* () {
    const { state } = run
    const step = state.finished
    const indexed = groups.map((group, i) => [group, i] as const)
    const fibers = yield* Effect.forEach(partsOf(indexed, parts), (part) =>
      Effect.forkScoped(
        Effect.forEach(part, ([group, i]) => collect(run, state.policy, group, { step, group: i }), {
          concurrency: "unbounded"
        })
      )
    )
    return fibers.map((fiber) => Fiber.join(fiber))
  })
