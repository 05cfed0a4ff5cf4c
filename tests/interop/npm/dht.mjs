// dht.mjs ROUTER HOST PORT HASH TARGET: bittorrent-dht stores an item and prints its target, then the peers of HASH and the value of TARGET.
import { Client } from 'bittorrent-dht'

const [router, host, port, hash, target] = process.argv.slice(2)
const dht = new Client({ bootstrap: [router], host })
dht.listen(Number(port), host, () => {})
dht.on('peer', (peer) => console.log('peer ' + peer.host + ':' + peer.port))
dht.on('ready', () => {
  dht.put({ v: Buffer.from('from node') }, (err, stored) => {
    console.log(err ? 'failed' : stored.toString('hex'))
    dht.lookup(hash, () => {
      dht.get(target, (e, res) => {
        console.log(e || !res ? 'nothing' : 'value ' + res.v.toString())
        process.exit(0)
      })
    })
  })
})
