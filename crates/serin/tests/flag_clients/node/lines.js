// A question a line in, an answer a line out, and events as they come.
'use strict'

const readline = require('node:readline')

const say = (what) => process.stdout.write(JSON.stringify(what) + '\n')

// Answers every line of stdin; ends when stdin does.
exports.serve = async (answer) => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    say(await answer(JSON.parse(line)))
  }
  process.exit(0)
}

exports.event = (name) => say({ event: name })
