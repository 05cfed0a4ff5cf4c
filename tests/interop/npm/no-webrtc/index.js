// WebRTC, which needs a native module, is left out: what imports these names finds that the browser has none.
export const RTCPeerConnection = undefined, RTCSessionDescription = undefined, RTCIceCandidate = undefined
