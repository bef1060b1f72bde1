import { loadModel } from "attention-bypass";
import v8 from "node:v8";
const m = await loadModel("test/fixtures/models/neox-serial", {device:"cpu"});
const mean = { blocks: [new Array(32).fill(0), [], []] };
const questions = [{ query: [1], choices: [[1], [2]], gold: 0 }];
const good = { prefixLength:1, rows:1, metrics:["exactMatch"], samples: [[1, 2]], text: [1, 2], tasks: [{ name: "own", questions }], over: [{ blocks: [0] }, { window: 3 }], mode: ["zero"], means: mean, memory: 1000, survey: 0 };
function within(good, value, depth = 0, path="") {
  if (depth === 3 || typeof good !== "object" || good === null) return [];
  return Object.keys(good).flatMap((key) => {
    const put = (member) => Array.isArray(good) ? good.map((one, i) => String(i) === key ? member : one) : { ...good, [key]: member };
    return [[path+"."+key, put(value)], ...within(good[key], value, depth + 1, path+"."+key).map(([p, x]) => [p, put(x)])];
  });
}
for (const [p, o] of within(good, new Array(2**32-1))) { console.log(p); const b=Date.now(); await m.sweep(o).then(()=>console.log("ok"), (e)=>console.log(e.code, e.message.slice(0,150), Date.now()-b)); }
