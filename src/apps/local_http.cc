// SPDX-License-Identifier: Apache-2.0
#include "apps/local_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "platform/base/str_cat.h"
#include "platform/base/unique_fd.h"

namespace tokenworks::apps {
namespace {

using base::StrCat;

// Undoes chunked transfer coding as far as whole chunks have come.
void Unchunk(std::string* raw, std::string* out) {
  while (true) {
    const size_t end = raw->find("\r\n");
    if (end == std::string::npos) return;
    const size_t size = std::strtoul(raw->c_str(), nullptr, 16);
    if (raw->size() < end + 2 + size + 2) return;
    out->append(*raw, end + 2, size);
    raw->erase(0, end + 2 + size + 2);
    if (size == 0) return;
  }
}

}  // namespace

StatusOr<HttpAnswer> Http(int port, const std::string& method, const std::string& path, const std::string& body,
                          const std::function<void(const std::string&)>& line) {
  base::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return absl::UnavailableError(StrCat("connecting to 127.0.0.1:", port, ": ", std::strerror(errno)));
  const std::string request =
      StrCat(method, " ", path,
             " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: ",
             body.size(), "\r\n\r\n", body);
  if (send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return absl::UnavailableError("sending the request failed");
  std::string raw, decoded;
  HttpAnswer answer;
  bool head_done = false, chunked = false;
  char buffer[65536];
  ssize_t n;
  while ((n = recv(fd.get(), buffer, sizeof buffer, 0)) > 0) {
    raw.append(buffer, n);
    if (!head_done) {
      const size_t end = raw.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      std::string head = raw.substr(0, end);
      for (char& c : head) c = static_cast<char>(std::tolower(c));
      answer.status = std::atoi(head.c_str() + 9);
      chunked = head.find("transfer-encoding: chunked") != std::string::npos;
      raw.erase(0, end + 4);
      head_done = true;
    }
    if (chunked)
      Unchunk(&raw, &decoded);
    else
      decoded += std::exchange(raw, {});
    if (line && answer.status == 200)
      for (size_t end; (end = decoded.find('\n')) != std::string::npos; decoded.erase(0, end + 1))
        line(decoded.substr(0, end));
  }
  if (!head_done) return absl::UnavailableError(StrCat("127.0.0.1:", port, " closed the connection without an answer"));
  answer.body = std::move(decoded);
  return answer;
}

StatusOr<int> ClusterPort(const std::string& name) {
  const launch::RunFolder folder = launch::RunFolder::Named(name);
  if (!folder.Holder())
    return absl::UnavailableError(
        StrCat(launch::NoClusterRuns(name), "; start it with `tokenworks up --name ", name, "`"));
  TW_ASSIGN_OR_RETURN(const std::string text, folder.Read("router.json"));
  return nlohmann::json::parse(text, nullptr, false).value("http_port", 0);
}

}  // namespace tokenworks::apps
