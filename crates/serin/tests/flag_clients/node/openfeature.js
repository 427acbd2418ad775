// OpenFeature's server SDK: `openfeature.js ofrep|rpc|in-process HOST PORT`.
'use strict'

const { OpenFeature, ProviderEvents } = require('@openfeature/server-sdk')
const { OFREPProvider } = require('@openfeature/ofrep-provider')
const { FlagdProvider } = require('@openfeature/flagd-provider')
const lines = require('./lines')

const [kind, host, port] = process.argv.slice(2)

const provider = kind === 'ofrep'
  ? new OFREPProvider({ baseUrl: `http://${host}:${port}` })
  : new FlagdProvider({ host, port: Number(port), resolverType: kind, deadlineMs: 20000 })

async function main () {
  await OpenFeature.setProviderAndWait(provider)
  const client = OpenFeature.getClient()
  client.addHandler(ProviderEvents.ConfigurationChanged, () => lines.event('changed'))
  lines.event('ready')
  await lines.serve(async ({ type, flag, default: fallback, context }) => {
    const name = { integer: 'Number', float: 'Number' }[type] ?? type[0].toUpperCase() + type.slice(1)
    const found = await client[`get${name}Details`](flag, fallback, context)
    const { value, variant, reason, errorCode: error } = found
    return { value, variant, reason, error }
  })
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
