// Digital Bazaar's implementation as a program to talk to: a request in JSON a line on standard
// input, a reply a line on standard output, {"result": …} or {"error": "…"}.
//
// It reads nothing but its input: contexts and documents are those that were handed over, and
// did:key is computed. Nothing is fetched.

import * as bitstring from '@digitalbazaar/vc-bitstring-status-list';
import * as ecdsaJcs from '@digitalbazaar/ecdsa-jcs-2019-cryptosuite';
import * as ecdsaSd from '@digitalbazaar/ecdsa-sd-2023-cryptosuite';
import * as EcdsaMultikey from '@digitalbazaar/ecdsa-multikey';
import * as Ed25519Multikey from '@digitalbazaar/ed25519-multikey';
import * as eddsaJcs from '@digitalbazaar/eddsa-jcs-2022-cryptosuite';
import * as vc from '@digitalbazaar/vc';
import {createInterface} from 'node:readline';
import {cryptosuite as ecdsaRdfc} from '@digitalbazaar/ecdsa-rdfc-2019-cryptosuite';
import {cryptosuite as eddsaRdfc} from '@digitalbazaar/eddsa-rdfc-2022-cryptosuite';
import {DataIntegrityProof} from '@digitalbazaar/data-integrity';

const SIGN = {
  'eddsa-jcs-2022': () => eddsaJcs.createSignCryptosuite(),
  'eddsa-rdfc-2022': () => eddsaRdfc,
  'ecdsa-jcs-2019': () => ecdsaJcs.createSignCryptosuite(),
  'ecdsa-rdfc-2019': () => ecdsaRdfc,
  'ecdsa-sd-2023': mandatoryPointers => ecdsaSd.createSignCryptosuite({mandatoryPointers})
};
const VERIFY = {
  'eddsa-jcs-2022': () => eddsaJcs.createVerifyCryptosuite(),
  'eddsa-rdfc-2022': () => eddsaRdfc,
  'ecdsa-jcs-2019': () => ecdsaJcs.createVerifyCryptosuite(),
  'ecdsa-rdfc-2019': () => ecdsaRdfc,
  'ecdsa-sd-2023': () => ecdsaSd.createVerifyCryptosuite()
};

const contexts = new Map();

function loader(documents = {}) {
  return async url => {
    const document = contexts.get(url) ?? documents[url] ?? didKey(url);
    if(document === undefined) {
      throw new Error(`not handed over: ${url}`);
    }
    return {contextUrl: null, documentUrl: url, document};
  };
}

function didKey(url) {
  const [did, fragment] = url.split('#');
  if(!did.startsWith('did:key:')) {
    return undefined;
  }
  const publicKeyMultibase = did.slice('did:key:'.length);
  const id = `${did}#${publicKeyMultibase}`;
  const method = {
    '@context': 'https://w3id.org/security/multikey/v1',
    id, type: 'Multikey', controller: did, publicKeyMultibase
  };
  if(fragment !== undefined) {
    return method;
  }
  return {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
    id: did,
    verificationMethod: [method],
    assertionMethod: [id],
    authentication: [id]
  };
}

async function signer({key, cryptosuite, created, mandatoryPointers}) {
  const controller = `did:key:${key.publicKeyMultibase}`;
  const Multikey = cryptosuite.startsWith('eddsa') ? Ed25519Multikey : EcdsaMultikey;
  const pair = await Multikey.from({
    '@context': 'https://w3id.org/security/multikey/v1',
    id: `${controller}#${key.publicKeyMultibase}`, type: 'Multikey', controller, ...key
  });
  const suite = SIGN[cryptosuite](mandatoryPointers);
  return new DataIntegrityProof({signer: pair.signer(), date: created ?? null, cryptosuite: suite});
}

function verifiers() {
  return Object.values(VERIFY).map(suite => new DataIntegrityProof({cryptosuite: suite()}));
}

// Their check reports what a bit says and leaves it to the caller to act on it.
async function checkStatus(options) {
  const checked = await bitstring.checkStatus(options);
  const set = checked.results?.some(({status}) => status) ?? false;
  return set ? {...checked, verified: false, error: new Error('the status is set')} : checked;
}

function verdict({verified, error, statusResult, credentialResults}) {
  return {
    verified,
    reasons: [...reasons(error), ...reasons(statusResult?.error),
      ...(credentialResults ?? []).flatMap(r => reasons(r.error))]
  };
}

function reasons(error) {
  if(!error) {
    return [];
  }
  const inside = [error.errors, error.cause].flat().filter(Boolean);
  return inside.length > 0 ? inside.flatMap(reasons) : [String(error.message ?? error)];
}

const COMMANDS = {
  async contexts({contexts: handed}) {
    for(const [url, document] of Object.entries(handed)) {
      contexts.set(url, document);
    }
    return contexts.size;
  },

  async issue({document, now, documents, ...rest}) {
    const suite = await signer(rest);
    return vc.issue({credential: document, suite, now, documentLoader: loader(documents)});
  },

  async verify({document, now, documents}) {
    return verdict(await vc.verifyCredential({
      credential: document, suite: verifiers(), now, checkStatus,
      documentLoader: loader(documents)
    }));
  },

  async derive({document, selectivePointers, documents}) {
    const suite = new DataIntegrityProof({
      cryptosuite: ecdsaSd.createDiscloseCryptosuite({selectivePointers})
    });
    return vc.derive({verifiableCredential: document, suite, documentLoader: loader(documents)});
  },

  // Whether a base proof is one that can be derived from.
  async confirm({document, now, documents}) {
    const suite = new DataIntegrityProof({cryptosuite: ecdsaSd.createConfirmCryptosuite()});
    return verdict(await vc.verifyCredential({
      credential: document, suite, now, checkStatus, documentLoader: loader(documents)
    }));
  },

  async present({document, challenge, domain, documents, ...rest}) {
    const suite = await signer(rest);
    return vc.signPresentation({
      presentation: document, suite, challenge, domain, documentLoader: loader(documents)
    });
  },

  async verifyPresentation({document, challenge, domain, now, documents}) {
    return verdict(await vc.verify({
      presentation: document, suite: verifiers(), challenge, domain, now, checkStatus,
      documentLoader: loader(documents)
    }));
  },

  async statusList({url, length, set, issuer, statusPurpose}) {
    const list = await bitstring.createList({length});
    for(const index of set) {
      list.setStatus(index, true);
    }
    const credential = await bitstring.createCredential({id: url, list, statusPurpose});
    return {...credential, issuer};
  },

  // CPU time of this process for a batch, in nanoseconds.
  async timed({what, batch, ...rest}) {
    const work = await TIMED[what](rest);
    const before = process.cpuUsage();
    for(const document of batch) {
      await work(document);
    }
    const {user, system} = process.cpuUsage(before);
    return (user + system) * 1000;
  }
};

const TIMED = {
  async issue({now, ...rest}) {
    const suite = await signer(rest);
    const documentLoader = loader();
    return credential => vc.issue({credential, suite, now, documentLoader});
  },

  async verify({cryptosuite, now}) {
    const documentLoader = loader();
    return async credential => {
      const suite = new DataIntegrityProof({cryptosuite: VERIFY[cryptosuite]()});
      // Without the status: their share of the work is the smaller one.
      const {verified, error} = await vc.verifyCredential({
        credential, suite, now, documentLoader, checkStatus: async () => ({verified: true})
      });
      if(!verified) {
        throw error;
      }
    };
  }
};

for await (const line of createInterface({input: process.stdin})) {
  let reply;
  try {
    const {command, ...rest} = JSON.parse(line);
    reply = {result: await COMMANDS[command](rest)};
  } catch(error) {
    reply = {error: reasons(error).join('; ')};
  }
  process.stdout.write(JSON.stringify(reply) + '\n');
}
