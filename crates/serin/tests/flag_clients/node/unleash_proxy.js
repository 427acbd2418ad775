// Unleash's browser SDK: `unleash_proxy.js URL TOKEN`. It asks anew for each context.
'use strict'

const { UnleashClient, InMemoryStorageProvider } = require('unleash-proxy-client')
const lines = require('./lines')

const [url, token] = process.argv.slice(2)

const unleash = new UnleashClient({
  url: `${url}/api/frontend`,
  clientKey: token,
  appName: 'serin-test',
  storageProvider: new InMemoryStorageProvider(),
  disableRefresh: true,
  metricsInterval: 0.1,
  metricsIntervalInitial: 0.1
})

unleash.on('error', (error) => console.error(error))
unleash.on('sent', () => lines.event('sent'))

async function main () {
  await unleash.start()
  lines.event('ready')
  await lines.serve(async ({ flag, context }) => {
    await unleash.updateContext(context)
    await unleash.updateToggles()
    return { enabled: unleash.isEnabled(flag), variant: unleash.getVariant(flag) }
  })
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
