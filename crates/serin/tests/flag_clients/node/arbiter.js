// Evaluates rules with JsonLogic's own implementation, and everything of flagd with flagd's own:
// its operators are called with what JsonLogic made of their arguments.
//
// Lines in and out as for `oracle.js`. flagd-core itself runs rules with another engine, which is
// not JsonLogic in all corners; this one says what JsonLogic is.
'use strict'

const { FlagdCore } = require('@openfeature/flagd-core')
const logic = require('json-logic-js')
const readline = require('node:readline')

const quiet = { error () {}, warn () {}, info () {}, debug () {} }
const DEFAULTS = { boolean: false, string: '', number: 0, object: {} }
const NAMES = ['fractional', 'sem_ver', 'starts_with', 'ends_with']

// flagd's answer for a flag with this rule.
function ask (key, flag, targeting, context) {
  const core = new FlagdCore(undefined, quiet)
  core.setConfigurations(JSON.stringify({ flags: { [key]: { ...flag, targeting } } }))
  const type = typeof Object.values(flag.variants)[0]
  const name = type[0].toUpperCase() + type.slice(1)
  const found = core[`resolve${name}Evaluation`](key, DEFAULTS[type], context, quiet)
  if (found.errorCode) return { error: found.errorCode }
  if (found.variant === undefined) return { reason: found.reason }
  return { reason: found.reason, variant: found.variant, value: found.value }
}

// The bytes of a text in UTF-8, each as a character: flagd hashes bytes, flagd-core characters.
const bytes = (text) => Buffer.from(text, 'utf8').toString('latin1')

// The result of one of flagd's operators: flagd names the variant, so any name may be one.
function operate (name, key, values, context) {
  if (name === 'fractional') {
    // flagd leaves a missing value out and takes the targeting key; flagd-core gives up.
    if (values[0] === null) values = values.slice(1)
    if (typeof values[0] === 'string') values[0] = bytes(values[0])
    context = { ...context, targetingKey: bytes(context.targetingKey ?? '') }
  }
  const names = ['true', 'false', ...values.flat().map(String)]
  const flag = { state: 'ENABLED', variants: Object.fromEntries(names.map((name) => [name, name])) }
  const found = ask(key, flag, { [name]: values }, context)
  if (found.variant === undefined) return null
  return name === 'fractional' ? found.variant : found.variant === 'true'
}

// Where both of flagd's evaluators agree on something else than JsonLogic's own implementation,
// they are right: sums of what is no text, and null as text.
logic.add_operation('+', (...values) => values.reduce((sum, value) => sum + Number(value), 0))
logic.add_operation('*', (...values) => values.reduce((product, value) => product * Number(value), 1))
logic.add_operation('cat', (...values) => values.map(String).join(''))

// What `{"$ref": name}` stands for, in its place.
function inline (rule, shared) {
  if (Array.isArray(rule)) return rule.map((part) => inline(part, shared))
  if (rule === null || typeof rule !== 'object') return rule
  if (rule.$ref in shared) return shared[rule.$ref]
  return Object.fromEntries(Object.entries(rule).map(([name, part]) => [name, inline(part, shared)]))
}

function answer (key, flag, context) {
  const targeting = flag.targeting
  if (/"\$ref"/.test(JSON.stringify(targeting))) return { error: 'PARSE_ERROR' }
  if (flag.state === 'DISABLED' || !targeting || Object.keys(targeting).length === 0) {
    return ask(key, flag, targeting, context)
  }
  for (const name of NAMES) {
    logic.add_operation(name, (...values) => operate(name, key, values, context))
  }
  const timestamp = Math.floor(Date.now() / 1000)
  const data = { ...context, $flagd: { flagKey: key, timestamp } }
  let result
  try {
    result = logic.apply(targeting, data)
  } catch {
    return { error: 'PARSE_ERROR' }
  }
  return ask(key, flag, { if: [true, result === null ? null : String(result)] }, context)
}

function answers ({ document: { flags, $evaluators: shared }, contexts }) {
  return Object.keys(flags).sort().map((key) => {
    const flag = { ...flags[key], targeting: inline(flags[key].targeting, shared ?? {}) }
    return contexts.map((context) => answer(key, flag, context))
  })
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  process.stdout.write(JSON.stringify(answers(JSON.parse(line))) + '\n')
})
