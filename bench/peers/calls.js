// calls.js - a process of child_process.fork, which is sent one message for each empty task, and sends one back.
//
// Each line on standard input says what to do, and a line is written when it is done:
//   trips N    sends one message and waits for the answer, N times; answered with the median of their times, in ns
//   submit N   N messages, of which at most 512 are under way at once; answered with N
'use strict';
const { fork } = require('child_process');
const readline = require('readline');

const IN_FLIGHT = 512;

function median(values) {
    values.sort((a, b) => a - b);
    const middle = values.length >> 1;
    return values.length % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

function medianTrip(worker, count, done) {
    const warmUp = Math.floor(count / 10);
    const times = [];
    let start;
    const send = () => {
        start = process.hrtime.bigint();
        worker.send(0);
    };
    worker.on('message', () => {
        times.push(Number(process.hrtime.bigint() - start));
        if (times.length < warmUp + count) return send();
        worker.removeAllListeners('message');
        done(median(times.slice(warmUp)));
    });
    send();
}

function submit(worker, count, done) {
    let sent = 0;
    let answered = 0;
    const send = () => {
        sent++;
        worker.send(0);
    };
    worker.on('message', () => {
        answered++;
        if (sent < count) return send();
        if (answered < count) return;
        worker.removeAllListeners('message');
        done(count);
    });
    while (sent < Math.min(count, IN_FLIGHT)) send();
}

function main() {
    const worker = fork(__filename, ['worker']);
    const work = { trips: medianTrip, submit };
    const lines = readline.createInterface({ input: process.stdin });
    lines.on('line', (line) => {
        const [what, count] = line.split(' ');
        work[what](worker, Number(count), (answer) => process.stdout.write(`${answer}\n`));
    });
    lines.on('close', () => worker.disconnect());
}

if (process.argv[2] === 'worker') process.on('message', () => process.send(0));
else main();
