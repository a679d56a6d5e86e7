"""One file for each client: how it is started, told what to do, and known to be done."""

from clients.aria2 import Aria2
from clients.bare import Bare
from clients.libtorrent import Libtorrent
from clients.mktorrent import Mktorrent
from clients.peerless import Peerless, PeerlessAlone
from clients.rqbit import Rqbit
from clients.rtorrent import Rtorrent
from clients.transmission import Transmission, TransmissionCreate

ALL = [Bare(), Peerless("mio"), Peerless("smol"), PeerlessAlone(), Libtorrent(), Aria2(), Rtorrent(), Rqbit(),
       Transmission(), TransmissionCreate(), Mktorrent()]
