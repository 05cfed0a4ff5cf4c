// webtorrent.mjs get LINK FOLDER PORT ROUTER | seed TORRENT FOLDER PORT ROUTER: one webtorrent that finds its peers in the DHT of ROUTER alone.
// Prints "ready" when it seeds or has begun, "done" when it has everything; runs until it is stopped.
import fs from 'node:fs'
import WebTorrent from 'webtorrent'

const [mode, what, folder, port, router] = process.argv.slice(2)
const client = new WebTorrent({
  torrentPort: Number(port), dhtPort: Number(port), dht: { bootstrap: [router] },
  tracker: false, lsd: false, natUpnp: false, natPmp: false, utp: false, webSeeds: false,
})
client.on('error', (e) => { console.log('error ' + e.message); process.exit(1) })
client.add(mode === 'get' ? what : fs.readFileSync(what), { path: folder }, (torrent) => {
  console.log('ready')
  if (torrent.done) console.log('done')
  torrent.on('done', () => console.log('done'))
})
