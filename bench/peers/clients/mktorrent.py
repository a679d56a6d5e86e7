from clients.base import Client


class Mktorrent(Client):
    name = "mktorrent"
    program = "mktorrent"
    asks_version = "-h"

    def create(self, lab, torrent, output, cpus):
        power = torrent.piece_len.bit_length() - 1
        command = ["-l", power, "-t", len(cpus or lab.test_cpus), "-o", output, torrent.payload]
        return self.until_exit(lab, command, cpus)
