// Counts what the library itself allocates from its second run on; the runtime's own memory is its own matter.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "xec_model.h"

extern char __executable_start;
extern char etext;

static std::atomic<long> count{0};

void* operator new(std::size_t size) {
  // The runtime calls this operator too; its calls come from outside this program's own code.
  const char* caller = static_cast<const char*>(__builtin_return_address(0));
  if (caller >= &__executable_start && caller < &etext) ++count;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

int main(int, char** words) {
  const xec::Model model(words[1]);
  xec::Batch batch(model, 8);
  const long at_first = count;
  for (std::size_t size : {1, 8, 3}) model.run(batch, size);
  const long warm = count;
  double sum = 0.0;
  for (int run = 0; run < 100; ++run) {
    for (std::size_t size : {1, 8, 3}) {
      batch.npho(0)[7] = static_cast<float>(run);
      model.run(batch, size);
      sum += batch.value("energy", 0) + batch.output(1, size - 1)[2];
    }
  }
  std::printf("%ld %ld %g\n", warm - at_first, count - warm, sum);
}
