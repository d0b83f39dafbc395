// SPDX-License-Identifier: Apache-2.0
#include "platform/base/framed_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "platform/base/str_cat.h"

namespace tokenworks::base {
namespace {

constexpr int kPauseMs = 20;
constexpr size_t kSliceBytes = 1 << 20;

StatusOr<sockaddr_un> Address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return absl::InvalidArgumentError(
        StrCat("the socket path ", path, " is longer than ", sizeof address.sun_path - 1, " bytes"));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

bool ReadExactly(int socket, char* out, size_t size, UniqueFd* fd) {
  size_t got = 0;
  while (got < size) {
    iovec part{out + got, size - got};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t n = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
      for (const unsigned char* at = CMSG_DATA(c);
           at + sizeof(int) <= reinterpret_cast<unsigned char*>(c) + c->cmsg_len; at += sizeof(int)) {
        int received;
        std::memcpy(&received, at, sizeof received);
        *fd = UniqueFd(received);
      }
    }
    got += static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

StatusOr<UniqueFd> FramedSocket::Connect(const std::string& path) {
  TW_ASSIGN_OR_RETURN(const sockaddr_un address, Address(path));
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return absl::UnavailableError(StrCat("connecting to ", path, ": ", std::strerror(errno)));
  return fd;
}

FramedSocket::~FramedSocket() {
  Close();
  if (!reader_.joinable()) return;
  if (reader_.get_id() == std::this_thread::get_id()) {
    state_->gone = true;
    reader_.detach();
  } else {
    reader_.join();
  }
}

void FramedSocket::Close() { shutdown(state_->fd.get(), SHUT_RDWR); }

void FramedSocket::Start(OnMessage message, OnClosed closed) {
  reader_ = std::thread(
      [state = state_, message = std::move(message), closed = std::move(closed)] { Read(*state, message, closed); });
}

bool FramedSocket::Send(const std::string& message, int fd) {
  if (message.size() > kMaxFrameBytes) return false;  // the peer would close the connection of everybody
  std::lock_guard lock(write_mutex_);
  uint32_t size = static_cast<uint32_t>(message.size());
  std::string frame(reinterpret_cast<const char*>(&size), sizeof size);
  frame += message;
  size_t sent = 0;
  while (sent < frame.size()) {
    iovec part{frame.data() + sent, frame.size() - sent};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    if (fd >= 0 && sent == 0) {
      header.msg_control = control;
      header.msg_controllen = sizeof control;
      cmsghdr* c = CMSG_FIRSTHDR(&header);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    const ssize_t n = sendmsg(state_->fd.get(), &header, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    sent += static_cast<size_t>(n);
  }
  return true;
}

void FramedSocket::Read(State& state, const OnMessage& message, const OnClosed& closed) {
  while (true) {
    uint32_t size = 0;
    UniqueFd fd;
    if (!ReadExactly(state.fd.get(), reinterpret_cast<char*>(&size), sizeof size, &fd) || size > kMaxFrameBytes) break;
    std::string bytes;
    bool whole = true;
    while (whole && bytes.size() < size) {  // a claimed length alone takes no memory
      const size_t got = bytes.size();
      bytes.resize(std::min<size_t>(size, got + kSliceBytes));
      whole = ReadExactly(state.fd.get(), bytes.data() + got, bytes.size() - got, &fd);
    }
    if (!whole) break;
    message(std::move(bytes), std::move(fd));
    if (state.gone) return;
  }
  shutdown(state.fd.get(), SHUT_RDWR);  // nobody reads any more: the peer's Send fails instead of waiting
  closed();
}

StatusOr<std::unique_ptr<FramedListener>> FramedListener::Start(const std::string& path,
                                                                std::function<void(UniqueFd)> accepted) {
  TW_ASSIGN_OR_RETURN(const sockaddr_un address, Address(path));
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  unlink(path.c_str());
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(fd.get(), 64) != 0)
    return absl::UnavailableError(StrCat("listening on ", path, ": ", std::strerror(errno)));
  std::unique_ptr<FramedListener> out(new FramedListener(std::move(fd), path));
  out->thread_ = std::thread([raw = out->fd_.get(), accepted = std::move(accepted)] {
    while (true) {
      const int connection = accept4(raw, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection >= 0) {
        accepted(UniqueFd(connection));
        continue;
      }
      if (errno == EINVAL || errno == EBADF) return;  // shut down: nobody listens any more
      // Out of descriptors or memory, or a peer that has left: others are to find somebody when that is over.
      if (errno != EINTR && errno != ECONNABORTED) {
        pollfd nothing{-1, 0, 0};
        poll(&nothing, 1, kPauseMs);
      }
    }
  });
  return out;
}

FramedListener::~FramedListener() {
  shutdown(fd_.get(), SHUT_RDWR);
  thread_.join();
  unlink(path_.c_str());
}

}  // namespace tokenworks::base
