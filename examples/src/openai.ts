/** An OpenAI client of `tinker serve`. It reads OPENAI_BASE_URL, such as http://127.0.0.1:8700/v1, and OPENAI_API_KEY. */
import OpenAI from "openai"

const client = new OpenAI()
const [model] = (await client.models.list()).data
const stream = await client.chat.completions.create({
  model: model!.id,
  messages: [{ role: "user", content: "Why is the sky blue?" }],
  max_completion_tokens: 64,
  stream: true
})
for await (const { choices } of stream) process.stdout.write(choices[0]?.delta.content ?? "")
