// SPDX-License-Identifier: Apache-2.0
// A blocking client that sends raw bytes, for tests.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <string>
#include <string_view>

#include "platform/base/unique_fd.h"

namespace tokenworks::http {

class RawClient {
 public:
  explicit RawClient(uint16_t port, int receive_buffer = 0) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer) setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    timeval limit{20, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  bool connected() const { return connected_; }
  bool Send(std::string_view data) {
    while (!data.empty()) {
      const ssize_t n = send(fd_.get(), data.data(), data.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      data.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  // Until `mark` has come (inclusive) or the stream ends.
  std::string ReadUntil(std::string_view mark) {
    while (true) {
      const size_t at = buffer_.find(mark);
      if (at != std::string::npos) return Take(at + mark.size());
      if (!Fill()) return Take(buffer_.size());
    }
  }
  std::string ReadAll() {
    while (Fill()) {
    }
    return Take(buffer_.size());
  }
  // One answer with Content-Length, or a chunked one (left chunked).
  std::string ReadAnswer() {
    std::string head = ReadUntil("\r\n\r\n");
    const size_t at = head.find("Content-Length: ");
    if (at == std::string::npos)
      return head.find("chunked") == std::string::npos ? head : head + ReadUntil("\r\n0\r\n\r\n");
    const size_t size = std::stoul(head.substr(at + 16));
    while (buffer_.size() < size && Fill()) {
    }
    return head + Take(std::min(size, buffer_.size()));
  }
  void HalfClose() { shutdown(fd_.get(), SHUT_WR); }
  void Close() { fd_.Reset(); }

 private:
  bool Fill() {
    char data[65536];
    const ssize_t n = recv(fd_.get(), data, sizeof data, 0);
    if (n > 0) buffer_.append(data, static_cast<size_t>(n));
    return n > 0;
  }
  std::string Take(size_t n) {
    std::string out = buffer_.substr(0, n);
    buffer_.erase(0, n);
    return out;
  }
  base::UniqueFd fd_;
  bool connected_ = false;
  std::string buffer_;
};

inline std::string Post(std::string_view path, std::string_view body, std::string_view headers = "") {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n" + std::string(headers) + "\r\n" + std::string(body);
}
inline std::string Get(std::string_view path) { return "GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n"; }

}  // namespace tokenworks::http
