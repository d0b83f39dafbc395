// SPDX-License-Identifier: Apache-2.0
// Method and path to handler.
#pragma once

#include <string>
#include <vector>

#include "platform/http/server.h"

namespace tokenworks::http {

class Routes {
 public:
  void Add(std::string method, std::string path, Handler handler);

  struct Match {
    const Handler* handler = nullptr;  // null: see `allow`
    std::vector<std::string> captures;
    std::string allow;  // methods of that path; empty = unknown path
  };
  // HEAD is served as GET.
  Match Find(const std::string& method, const std::string& path) const;

 private:
  struct Entry {
    std::string method, path;
    Handler handler;
  };
  std::vector<Entry> entries_;
};

// `%41` to `A`; false for a bad escape or a NUL.
bool PercentDecode(std::string_view text, std::string* out);

}  // namespace tokenworks::http
