"use strict";
// A terminal of xterm.js that obeys orders, one JSON object a line of standard input:
// {"open": [columns, rows]}, {"write": text}, {"resize": [columns, rows]}, {"lines": true}, answered with a list.

const { Terminal } = require(process.argv[2]);

let terminal = null;
let before = Promise.resolve();

async function obey(order) {
  if (order.open) {
    const [cols, rows] = order.open;
    terminal = new Terminal({ cols, rows, scrollback: 1000000, allowProposedApi: true });
  } else if (order.write !== undefined) {
    await new Promise((done) => terminal.write(order.write, done));
  } else if (order.resize) {
    terminal.resize(...order.resize);
  } else if (order.lines) {
    const buffer = terminal.buffer.active;
    const lines = [];
    for (let y = 0; y < buffer.length; y++) {
      lines.push(buffer.getLine(y).translateToString(true));
    }
    process.stdout.write(JSON.stringify(lines) + "\n");
  }
}

require("readline")
  .createInterface({ input: process.stdin, crlfDelay: Infinity })
  .on("line", (line) => {
    before = before.then(() => obey(JSON.parse(line)));
  });
