// One real Prebid.js auction under jsdom, its server adapter pointed straight at a bidder.
//
// Usage: node auction.mjs ENDPOINT; prints one line of JSON: what the auction brought and what was rendered.
// The bundle is made by esbuild in memory. jsdom knows no iframe.srcdoc, so Prebid.js renders the way it has for
// such pages (legacyRender), and loads no image, so those of the rendered page on this machine are fetched here.

import { build } from 'esbuild';
import { JSDOM, VirtualConsole } from 'jsdom';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const [endpoint] = process.argv.slice(2);
const TIMEOUT_MS = 5000;
const PAGE = 'https://news.example/article';
const errors = [];

async function bundle() {
  const made = await build({
    stdin: {
      contents: `import pbjs from 'prebid.js';
                 import 'prebid.js/modules/prebidServerBidAdapter.js';
                 window.pbjs = pbjs;`,
      resolveDir: dirname(fileURLToPath(import.meta.url)),
    },
    bundle: true,
    format: 'iife',
    write: false,
    logLevel: 'error',
  });
  return made.outputFiles[0].text;
}

function page() {
  const virtualConsole = new VirtualConsole();
  virtualConsole.on('jsdomError', (error) => errors.push(`jsdom: ${error.message}`));
  virtualConsole.on('error', (...words) => errors.push(words.map(String).join(' ')));
  const dom = new JSDOM('<!DOCTYPE html><div id="slot"></div>', {
    url: PAGE,
    pretendToBeVisual: true,
    runScripts: 'dangerously',
    virtualConsole,
  });
  const asked = [];
  dom.window.fetch = async (request, options) => {
    asked.push(request.url ?? String(request));
    return fetch(request, options);
  };
  Object.assign(dom.window, { Request, Response, Headers, AbortController, AbortSignal, TextEncoder, TextDecoder });
  return { window: dom.window, asked };
}

function auction(pbjs) {
  pbjs.processQueue();
  const events = [];
  for (const name of ['bidderError', 'bidRejected', 'noBid', 'bidTimeout', 'bidWon', 'adRenderFailed', 'adRenderSucceeded']) {
    pbjs.onEvent(name, (detail) => events.push({ name, reason: detail?.rejectionReason ?? detail?.reason ?? null }));
  }
  pbjs.setConfig({
    auctionOptions: { legacyRender: true },
    s2sConfig: {
      enabled: true,
      accountId: '1',
      adapter: 'prebidServer',
      bidders: ['paceline'],
      endpoint,
      timeout: TIMEOUT_MS - 1000,
    },
    ortb2: { device: { geo: { country: 'USA' } } },
  });
  pbjs.addAdUnits([
    {
      code: 'slot',
      mediaTypes: { banner: { sizes: [[300, 250], [300, 600]] } },
      bids: [{ bidder: 'paceline', params: { placement: 1 } }],
    },
  ]);
  return new Promise((resolve) => {
    pbjs.requestBids({ timeout: TIMEOUT_MS, bidsBackHandler: () => resolve(events) });
  });
}

async function render(window, pbjs, bid) {
  const frame = window.document.createElement('iframe');
  window.document.getElementById('slot').appendChild(frame);
  const done = new Promise((resolve) => {
    pbjs.onEvent('adRenderSucceeded', resolve);
    pbjs.onEvent('adRenderFailed', resolve);
  });
  pbjs.renderAd(frame.contentDocument, bid.adId);
  await done;
  const sources = [...frame.contentDocument.images].map((image) => image.src);
  const loaded = [];
  for (const src of sources.filter((text) => text.startsWith('http://127.0.0.1:'))) {
    const answer = await fetch(src);
    loaded.push({ src, status: answer.status, type: answer.headers.get('content-type') });
  }
  return { sources, loaded, links: [...frame.contentDocument.links].map((link) => link.href) };
}

const { window, asked } = page();
window.eval(await bundle());
const { pbjs } = window;
const events = await auction(pbjs);
const [winner] = pbjs.getHighestCpmBids('slot');
const bids = pbjs.getBidResponsesForAdUnitCode('slot').bids;
const report = { version: pbjs.version, asked, events, errors, bids: bids.length };
if (winner) {
  report.rendered = await render(window, pbjs, winner);
  const { cpm, currency, width, height, creativeId, mediaType, bidderCode, meta } = winner;
  report.winner = { cpm, currency, width, height, creativeId, mediaType, bidderCode, domains: meta.advertiserDomains };
}
console.log(JSON.stringify(report));
process.exit(0);
