/* Paceline tag 1: tells what happens in this shop, as far as the visitor allows.
   <script async src="https://HOST/tag.js" data-advertiser="ID"></script> tells a page_view;
   data-event="product_view" data-product="boot-1" tells that instead, data-event="none" nothing.
   paceline('product_view', {product: 'boot-1', price: 129, currency: 'EUR'});
   paceline('purchase', {order: 'A1', items: [{product: 'boot-1', price: 129, quantity: 2}]});
   data-gdpr="0": the GDPR does not apply here; else an id is made only where a consent API allows it.
   data-debug: tells the console what became of each event. */
((w, d) => {
  'use strict';
  const VENDOR = 0, WAIT_MS = 500, FP_S = 2592000, MAX_SENT = 20;
  const script = d.currentScript, sent = [];
  const debug = script && 'debug' in script.dataset, log = (...a) => debug && w.console.warn('paceline', ...a);
  let base, shop, synced, repeated;

  /* The page goes on. */
  const safely = (f) => (...a) => { try { return f(...a); } catch (e) { log(e); } };
  const random = () =>
    Array.from(w.crypto.getRandomValues(new Uint8Array(16)), (b) => (b + 256).toString(16).slice(1)).join('');
  const pair = (name, value) => name + '=' + encodeURIComponent(value ?? '');
  const query = (fields) =>
    Object.keys(fields).filter((n) => (fields[n] ?? '') !== '').map((n) => pair(n, fields[n])).join('&');

  /* What the page's consent APIs say; done(parameters of our calls, 1: an id may be kept, -1: not, 0: nobody says) */
  function consent(done) {
    const told = {};
    let may = 0, left = 1, over;
    const say = (yes) => { may = yes && may >= 0 ? 1 : -1; };
    const end = safely(() => { if (!over) { over = true; w.clearTimeout(timer); done(told, may); } });
    const one = () => { if (!--left) end(); };
    const ask = (name, call) => {
      if (typeof w[name] !== 'function') return;
      left++;
      try { call(w[name]); } catch (e) { one(); }
    };
    const timer = w.setTimeout(end, WAIT_MS);
    if (w.navigator.globalPrivacyControl) { told.gpc = 1; say(false); }
    ask('__tcfapi', (api) => {
      let ended;
      api('addEventListener', 2, safely((data, ok) => {
        if (ended) return;
        const out = ok && data.gdprApplies === false;
        if (ok && data.gdprApplies !== undefined) told.gdpr = out ? 0 : 1;
        if (ok && !out && data.eventStatus !== 'tcloaded' && data.eventStatus !== 'useractioncomplete') return;
        ended = true;
        if (ok) {
          if (!out) told.gdpr_consent = data.tcString;
          say(out || (data.purpose.consents[1] && data.vendor.consents[VENDOR]));
          api('removeEventListener', 2, () => {}, data.listenerId);
        }
        if (over) again(); else one();
      }));
    });
    ask('__gpp', (api) => api('ping', safely((data) => {
      if (data && data.gppString) {
        told.gpp = data.gppString;
        told.gpp_sid = (data.applicableSections || []).join();
        const read = JSON.stringify(data.parsedSections || {});
        say(!/"(Sale|Sharing|TargetedAdvertising)OptOut":1|"Gpc":true/.test(read));
      }
      one();
    })));
    ask('__uspapi', (api) => api('getUSPData', 1, safely((data, ok) => {
      if (ok && data) { told.us_privacy = data.uspString; say(data.uspString[2] !== 'Y'); }
      one();
    })));
    one();
  }

  /* The shop's own id of this browser: made where it may be, gone where it may not. */
  function firstParty(may) {
    const keep = (value, age) => {
      d.cookie = `_pl_fp=${value}; Max-Age=${age}; Path=/; SameSite=Lax` + (w.location.protocol === 'https:' ? '; Secure' : '');
      return value;
    };
    const found = (/(?:^|; )_pl_fp=([0-9a-f]{32})(?:;|$)/.exec(d.cookie) || [])[1];
    if (may < 0 && found) keep('', 0);
    return may > 0 || (!may && script.dataset.gdpr === '0') ? keep(found || random(), FP_S) : '';
  }

  function tell(event, fields) {
    const { category, currency, value, order, conversion, name } = fields;
    const id = fields.id || (event === 'purchase' && order ? '' : random());
    const from = d.referrer && new URL(d.referrer).hostname;
    const referrer = from === w.location.hostname ? '' : from;
    const text = [query({ advertiser: shop, event, via: 'tag', id, category, currency, value, order, conversion, name, referrer })];
    const items = fields.items || (fields.product ? [{ ...fields, category: '' }] : []);
    for (const n of ['product', 'price', 'quantity', 'category']) {
      if (items.some((i) => (i[n] ?? '') !== '')) {
        items.forEach((i) => text.push(pair(n === 'category' ? 'item_category' : n, i[n])));
      }
    }
    if (sent.length < MAX_SENT) sent.push(text.join('&'));
    send(text.join('&'));
  }

  const send = (text) => consent((told, may) => {
    const fp = firstParty(may);
    load(`${base}/pixel?${text}&${query({ ...told, fp, cb: random().slice(24) })}`, () => sync(told));
  });
  /* Consent that comes late: what was told is told again under its id, so that it counts once. */
  const again = () => { if (!repeated) { repeated = true; sent.forEach(send); } };

  function load(url, done) {
    const image = () => {
      const img = new Image(1, 1);
      img.onload = img.onerror = safely(done);
      img.src = url;
    };
    const failed = () => {
      log('unreadable: no connection, or advertiser unknown, or page not of its domain or events.origins', url);
      image();
    };
    w.fetch(url, { mode: debug ? 'cors' : 'no-cors', credentials: 'include', keepalive: true }).then(safely((answer) => {
      if (debug) answer.text().then((text) => log(answer.ok ? 'taken' : text, url));
      done();
    }), safely(failed));
  }

  function sync(told) {
    if (synced || (told.gdpr && !told.gdpr_consent)) return;
    synced = true;
    w.fetch(`${base}/v1/syncs?${query({ advertiser: shop, ...told })}`, { credentials: 'include' })
      .then((answer) => answer.json())
      .then((found) => found.syncs.forEach((url) => { new Image(1, 1).src = url; }))
      .catch(() => {});
  }

  safely(() => {
    const fields = script.dataset, event = fields.event || 'page_view', waiting = (w.paceline || {}).q || [];
    shop = fields.advertiser;
    base = script.src.replace(/\/tag(-\d+)?\.js.*$/, '');
    w.paceline = safely((kind, more) => tell(kind, more || {}));
    if (event !== 'none') w.paceline(event, fields);
    for (const call of waiting) w.paceline(call[0], call[1]);
  })();
})(window, document);
