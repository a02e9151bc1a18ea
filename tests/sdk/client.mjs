// An API's SDK at work: client.mjs MODULES SDK URL RETRIES CASE…, a case being KIND:WHAT. KIND is whole or stream; WHAT is told
// to the API as the model, or the customer's id, and says how it answers. Prints a JSON list: text and number of events that
// came, and the error. With HTTPS_PROXY, fetch goes by it.
import { createRequire } from 'node:module'

const [modules, sdk, url, retries, ...cases] = process.argv.slice(2)
const load = createRequire(`${modules}/`)

function stripe() {
  const Stripe = load('stripe')
  const { protocol, hostname, port } = new URL(url)
  return new Stripe('sk_test_key', {
    host: hostname, port, protocol: protocol.slice(0, -1), maxNetworkRetries: Number(retries), telemetry: false,
    ...(process.env.HTTPS_PROXY ? { httpClient: Stripe.createFetchHttpClient() } : {}) })
}

function ai(name, baseURL) {
  return new (load(name).default)({ apiKey: 'key', baseURL, maxRetries: Number(retries) })
}

const question = { max_tokens: 9, messages: [{ role: 'user', content: 'hello' }] }

const sdks = {
  openai: () => {
    const client = ai('openai', `${url}/v1`)
    return {
      whole: async model => (await client.chat.completions.create({ ...question, model })).choices[0].message.content,
      stream: model => client.chat.completions.create({ ...question, model, stream: true }),
      textOf: chunk => chunk.choices[0].delta.content,
    }
  },
  anthropic: () => {
    const client = ai('@anthropic-ai/sdk', url)
    return {
      whole: async model => (await client.messages.create({ ...question, model })).content[0].text,
      stream: model => client.messages.create({ ...question, model, stream: true }),
      textOf: event => event.delta?.text,
    }
  },
  stripe: () => {
    const client = stripe()
    return {
      whole: async id => (await client.customers.retrieve(`cus_${id}`)).name,
      stream: async id => [(await client.customers.retrieve(`cus_slow_${id}`)).name], // it has no streams, but slow answers
      textOf: name => name,
    }
  },
}

async function stream(api, what, came) {
  for await (const one of await api.stream(what)) {
    const text = api.textOf(one)
    if (text === undefined) continue
    came.text += text
    came.events += 1
  }
}

async function run(api, kind, what) {
  const came = { text: '', events: 0, error: null }
  try {
    if (kind === 'stream') await stream(api, what, came)
    else came.text = await api.whole(what)
  } catch (error) {
    came.error = { class: error.constructor.name, status: error.status ?? error.statusCode ?? null, message: String(error.message) }
  }
  return came
}

if (process.env.HTTPS_PROXY) {
  const { EnvHttpProxyAgent, setGlobalDispatcher } = load('undici')
  setGlobalDispatcher(new EnvHttpProxyAgent())
}
const api = sdks[sdk]()
const results = []
for (const each of cases) results.push(await run(api, ...each.split(':')))
console.log(JSON.stringify(results))
process.exit(0)
