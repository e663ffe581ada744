"""Uses a service by OpenAI's client: `check.py URL KEY`."""

import sys

import openai

url, key = sys.argv[1:]
client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)

models = [model.id for model in client.models.list()]
assert models == ["effect-tinker/nano"], models
model = models[0]
assert client.models.retrieve(model).id == model

options = dict(model=model, prompt="walk ->", max_tokens=8, temperature=0, logprobs=2)
whole = client.completions.create(**options)
choice = whole.choices[0]
assert whole.usage.completion_tokens == len(choice.logprobs.tokens), whole
assert all(logprob <= 0 for logprob in choice.logprobs.token_logprobs)
pieces = [chunk.choices[0].text for chunk in client.completions.create(**options, stream=True)]
assert "".join(pieces) == choice.text, (pieces, choice.text)

seeded = dict(model=model, prompt="walk ->", max_tokens=6, n=3, seed=7)
first, second = (client.completions.create(**seeded) for _ in range(2))
assert [c.text for c in first.choices] == [c.text for c in second.choices]
assert len({c.index for c in first.choices}) == 3

messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
chat = client.chat.completions.create(
    model=model, messages=messages, max_completion_tokens=8, temperature=0, logprobs=True, top_logprobs=2
)
assert len(chat.choices[0].logprobs.content) == chat.usage.completion_tokens
with client.chat.completions.stream(
    model=model, messages=messages, max_completion_tokens=8, temperature=0, stream_options={"include_usage": True}
) as stream:
    final = stream.get_final_completion()
assert final.choices[0].message.content == chat.choices[0].message.content
assert final.usage.completion_tokens == chat.usage.completion_tokens

# a client that hangs up does not harm the next one
long = client.completions.create(model=model, prompt="walk", max_tokens=400, temperature=1, stream=True)
next(iter(long))
long.close()
assert client.completions.create(**options).choices[0].text == choice.text


def refused(error, param, **changes):
    try:
        client.chat.completions.create(**{"model": model, "messages": messages, **changes})
    except error as failure:
        assert failure.param == param, failure.body
    else:
        raise AssertionError(f"{param} was taken")


refused(openai.BadRequestError, "logit_bias", logit_bias={"1": 2})
refused(openai.BadRequestError, "surprise", extra_body={"surprise": 1})
refused(openai.BadRequestError, "messages[0].role", messages=[{"role": "robot", "content": "x"}])
refused(openai.NotFoundError, "model", model="other/model")
try:
    openai.OpenAI(base_url=url, api_key="wrong", max_retries=0).models.list()
except openai.AuthenticationError:
    pass
else:
    raise AssertionError("the key is wrong")
print(f"openai {openai.__version__}: ok")
