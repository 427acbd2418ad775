// Unleash's server SDK, told of changes by its stream: `unleash.js URL TOKEN polling|streaming`.
'use strict'

const { Unleash, InMemStorageProvider } = require('unleash-client')
const lines = require('./lines')

const [url, token, mode] = process.argv.slice(2)

const unleash = new Unleash({
  url: `${url}/api/`,
  appName: 'serin-test',
  customHeaders: { Authorization: token },
  storageProvider: new InMemStorageProvider(),
  refreshInterval: 100,
  metricsInterval: 100,
  metricsJitter: 0,
  experimentalMode: { type: mode }
})

unleash.on('error', (error) => console.error(error))
unleash.on('registered', () => lines.event('registered'))
unleash.on('sent', () => lines.event('sent'))
unleash.once('synchronized', () => {
  unleash.on('changed', () => lines.event('changed'))
  lines.event('ready')
  lines.serve(({ flag, context }) => ({
    enabled: unleash.isEnabled(flag, context),
    variant: unleash.getVariant(flag, context)
  }))
})
