// Evaluates flags as flagd's own JavaScript evaluator does (`fractional` v2).
//
// A line in: {"document": flagd document, "contexts": [context, ...]}.
// A line out: for each flag, sorted by key, and each context an answer.
'use strict'

const { FlagdCore } = require('@openfeature/flagd-core')
const readline = require('node:readline')

const quiet = { error () {}, warn () {}, info () {}, debug () {} }
const DEFAULTS = { boolean: false, string: '', number: 0, object: {} }

function answer (core, key, type, context) {
  const name = type[0].toUpperCase() + type.slice(1)
  const found = core[`resolve${name}Evaluation`](key, DEFAULTS[type], context, quiet)
  if (found.errorCode) return { error: found.errorCode }
  if (found.variant === undefined) return { reason: found.reason }
  return { reason: found.reason, variant: found.variant, value: found.value }
}

function answers ({ document, contexts }) {
  const core = new FlagdCore(undefined, quiet)
  core.setConfigurations(JSON.stringify(document))
  return Object.keys(document.flags).sort().map((key) => {
    const type = typeof Object.values(document.flags[key].variants)[0]
    return contexts.map((context) => answer(core, key, type, context))
  })
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  process.stdout.write(JSON.stringify(answers(JSON.parse(line))) + '\n')
})
