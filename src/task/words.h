/* words.h - numbers in English. */
#ifndef TDM_TASK_WORDS_H
#define TDM_TASK_WORDS_H

/* "SIGSEGV", or NULL for one that has no name here. */
const char *tdm_words_signal(int signal);

#endif
