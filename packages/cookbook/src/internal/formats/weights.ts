/** Which messages of a conversation are trained, by the mode. */
import type { TrainOn } from "./model.ts"
import { refuse, type Turn } from "./turns.ts"

const isAssistant = ({ role }: Turn): boolean => role === "assistant"

/** Where the turn begins that follows the last message of the user. */
const turnStart = (turns: ReadonlyArray<Turn>): number => turns.findLastIndex(({ role }) => role === "user") + 1

/**
 * Conversations that say of each message whether it is trained are for one mode, and that mode is for them.
 *
 * @throws RendererError
 * @internal
 */
export const checkTrainable = (renderer: string, turns: ReadonlyArray<Turn>, trainOn: TrainOn): void => {
  for (const { index, trainable } of turns) {
    if (index === undefined) continue
    const path = `messages.${index}.trainable`
    if (trainOn === "customized" && trainable === undefined) {
      const detail = "needs to know of each message whether it is trained, with customized"
      throw refuse(renderer, "InvalidConversation", detail, path)
    }
    if (trainOn !== "customized" && trainable !== undefined) {
      const detail = `does not read this with ${trainOn}: train on customized, or leave it out`
      throw refuse(renderer, "InvalidConversation", detail, path)
    }
  }
}

/** Whether what a turn says is trained. @internal */
export const trainedTurns = (turns: ReadonlyArray<Turn>, trainOn: TrainOn): ReadonlyArray<boolean> => {
  // the last message is what is produced, even if it is the user's
  const start = turnStart(turns.slice(0, -1))
  return turns.map((turn, i) => {
    switch (trainOn) {
      case "last_assistant_message":
        return isAssistant(turn) && i === turns.length - 1
      case "last_assistant_turn":
        return isAssistant(turn) && i >= start
      case "all_assistant_messages":
        return isAssistant(turn)
      case "all_messages":
      case "all_tokens":
        return true
      case "all_user_and_system_messages":
        return turn.role === "user" || turn.role === "system"
      case "customized":
        return turn.trainable === true
    }
  })
}

/** The first message that the model would produce, in the modes that train what it would produce. @internal */
export const firstProduced = (turns: ReadonlyArray<Turn>, trainOn: TrainOn): number | undefined => {
  const at =
    trainOn === "last_assistant_message"
      ? turns.length - 1
      : trainOn === "last_assistant_turn"
        ? turnStart(turns)
        : undefined
  return at !== undefined && turns[at] !== undefined && isAssistant(turns[at]) ? at : undefined
}

/**
 * The messages that the model produces, one example for each.
 *
 * @throws RendererError in modes that train others
 * @internal
 */
export const producedTurns = (
  renderer: string,
  turns: ReadonlyArray<Turn>,
  trainOn: TrainOn
): ReadonlyArray<number> => {
  const from = new Map<TrainOn, number>([
    ["last_assistant_message", turns.length - 1],
    ["last_assistant_turn", turnStart(turns)],
    ["all_assistant_messages", 0]
  ]).get(trainOn)
  if (from === undefined) {
    const detail = `rewrites earlier messages, so that ${trainOn} has no exact examples: train on messages of the assistant, or choose a renderer that keeps history as it was`
    throw refuse(renderer, "UnsupportedMode", detail)
  }
  return [...turns.keys()].filter((i) => i >= from && isAssistant(turns[i]!) && turns[i]!.weight > 0)
}
